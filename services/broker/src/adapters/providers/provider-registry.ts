import { traitsOf, type SourceConfiguration } from '@token-broker/configuration';
import type { Clock } from '@token-broker/foundation';
import type { Lender, Provider, ProviderCapabilities, ProviderImplementation } from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';
import { guardedProvider } from './guarded-provider.js';

export interface ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Credentials of other sources, for providers that sign or ask with one. */
  readonly lend: Lender;
}

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
