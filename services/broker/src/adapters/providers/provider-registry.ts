import { traitsOf, type SourceConfiguration } from '@token-broker/configuration';
import type { Provider, ProviderCapabilities, ProviderImplementation } from '../../app/ports/provider.js';
import { guardedProvider } from './guarded-provider.js';
import type { ProviderPorts } from './provider-ports.js';

/** Of AWS, whatever it was signed with. */
const RDS_TOKEN_LIFE_MS = 15 * 60_000;

/** Of GitHub, whatever is asked for. */
const INSTALLATION_TOKEN_LIFE_MS = 60 * 60_000;
/** Of Microsoft Entra ID: whatever a policy of the tenant says. */
const ENTRA_TOKEN_LIFE_MS = 24 * 60 * 60_000;

/** Of a pool of Google Cloud. */
const GOOGLE_POOL_TOKEN_LIFE_MS = 12 * 60 * 60_000;

/** Makes the provider that a source names. The only place that knows all kinds; it loads only those that are used. */
export function createProvider(source: SourceConfiguration, ports: ProviderPorts): Provider {
  const { clock, log } = ports;
  const { secrets, summary } = traitsOf(source);
  return guardedProvider({
    source,
    secrets,
    clientId: summary.clientId,
    capabilities: capabilitiesOf(source),
    load: () => load(source, ports),
    clock,
    log,
  });
}

/** The code of each kind is imported here and nowhere else, when a source uses it. */
async function load(source: SourceConfiguration, ports: ProviderPorts): Promise<ProviderImplementation> {
  switch (source.provider) {
    case 'oauth2': {
      const { createOAuth2Provider } = await import('./oauth2/oauth2-provider.js');
      return createOAuth2Provider(source, ports);
    }
    case 'static': {
      const { createStaticProvider } = await import('./static/static-provider.js');
      return createStaticProvider(source);
    }
    case 'exec': {
      const { createExecProvider } = await import('./exec/exec-provider.js');
      return createExecProvider(source, ports);
    }
    case 'aws-sts': {
      const { createAwsStsProvider } = await import('./aws-sts/aws-sts-provider.js');
      return createAwsStsProvider(source, ports);
    }
    case 'aws-rds-iam': {
      const { createAwsRdsIamProvider } = await import('./aws-rds-iam/aws-rds-iam-provider.js');
      return createAwsRdsIamProvider(source, ports);
    }
    case 'github-app': {
      const { createGitHubAppProvider } = await import('./github-app/github-app-provider.js');
      return createGitHubAppProvider(source, ports);
    }
    case 'vault': {
      const { createVaultProvider } = await import('./vault/vault-provider.js');
      return createVaultProvider(source, ports);
    }
    case 'azure-workload-identity': {
      const { createAzureWorkloadIdentityProvider } =
        await import('./azure-workload-identity/azure-workload-identity-provider.js');
      return createAzureWorkloadIdentityProvider(source, ports);
    }
    case 'google-workload-identity': {
      const { createGoogleWorkloadIdentityProvider } =
        await import('./google-workload-identity/google-workload-identity-provider.js');
      return createGoogleWorkloadIdentityProvider(source, ports);
    }
    case 'module': {
      const { loadOwnProvider } = await import('./module/own-provider.js');
      return loadOwnProvider(source, ports);
    }
  }
}

/** What each kind can do, known before its code is loaded. */
function capabilitiesOf(source: SourceConfiguration): ProviderCapabilities {
  switch (source.provider) {
    case 'oauth2':
      return {
        canRevoke: true,
        mayRotate: source.grant.kind === 'refresh_token',
        longestLifeMs: source.maxLifetimeMs,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: true,
      };
    case 'module':
      return {
        // Whether it has a way to, its code says when it is asked.
        canRevoke: true,
        mayRotate: false,
        longestLifeMs: source.maxLifetimeMs,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: source.takesParameters,
      };
    case 'aws-sts':
      return {
        // AWS takes no session back: a policy on the role does, for all of its sessions.
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: source.sessionDurationMs,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'aws-rds-iam':
      return {
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: RDS_TOKEN_LIFE_MS,
        // A signature names the second in which it was made.
        repeatsWithinMs: 1_000,
        callsUpstream: false,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'github-app':
      return {
        canRevoke: true,
        mayRotate: false,
        longestLifeMs: INSTALLATION_TOKEN_LIFE_MS,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'azure-workload-identity':
      return {
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: ENTRA_TOKEN_LIFE_MS,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'vault':
      return {
        canRevoke: true,
        mayRotate: false,
        longestLifeMs: source.maxLifetimeMs,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'google-workload-identity':
      return {
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: source.impersonation?.lifetimeMs ?? GOOGLE_POOL_TOKEN_LIFE_MS,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'exec':
      return {
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: source.maxLifetimeMs,
        callsUpstream: true,
        needsRefresher: true,
        takesParameters: false,
      };
    case 'static':
      return {
        canRevoke: false,
        mayRotate: false,
        longestLifeMs: source.lifetimeMs,
        callsUpstream: false,
        needsRefresher: false,
        takesParameters: false,
      };
  }
}
