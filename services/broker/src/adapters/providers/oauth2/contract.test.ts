import type { OAuth2SourceConfiguration, SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { startScript } from '../fakes/oauth2-bed.js';
import { itKeepsTheContract, type Behaviour, type ContractBed } from '../fakes/contract/provider-contract.js';
import type { ScriptedReply } from '@token-broker/testing';

const SECRET = 'canary of the client: 7Qx/+&';
const LIFE_MS = 3_600_000;

async function start(): Promise<ContractBed> {
  let behaviour: Behaviour = { does: 'issue' };
  let calls = 0;
  const takenBack: string[] = [];
  const idp = await startScript(({ path, form }) => {
    if (path === '/revoke') {
      takenBack.push(form['token'] ?? '');
      return {};
    }
    return replyOf(behaviour, ++calls);
  });
  const source: OAuth2SourceConfiguration = {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: {
      kind: 'token-endpoint',
      tokenEndpoint: idp.tokenEndpoint,
      revocationEndpoint: `${idp.issuer}/revoke`,
    },
    allowInsecureHttp: true,
    clientId: 'payments',
    clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted(SECRET) },
    scopes: ['read'],
    parameters: new Map(),
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 86_400_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
  };
  return {
    source,
    takenBack,
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
  };
}

function replyOf(behaviour: Behaviour, call: number): ScriptedReply {
  const token = { access_token: `canary-of-a-token-${String(call)}`, token_type: 'Bearer' };
  switch (behaviour.does) {
    case 'issue':
      return { body: { ...token, expires_in: (behaviour.lifeMs ?? LIFE_MS) / 1_000 } };
    case 'deny':
      return { status: 400, body: { error: 'invalid_scope', error_description: SECRET } };
    case 'throttle':
      return { status: 429, headers: { 'retry-after': String(behaviour.pauseMs / 1_000) }, body: { error: SECRET } };
    case 'break':
      return { body: token, fault: 'reset-mid-body' };
    case 'babble':
      return { body: { ...token, expires_in: `soon ${SECRET}` } };
    case 'hang':
      return { fault: 'hang' };
  }
}

const having =
  (change: Partial<OAuth2SourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as OAuth2SourceConfiguration), ...change });

itKeepsTheContract('oauth2', {
  start,
  tokenType: 'Bearer',
  changes: {
    issuer: having({ endpoint: { kind: 'issuer', issuer: 'https://other.example.com' } }),
    'client id': having({ clientId: 'other' }),
    secret: having({ clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted('other') } }),
    'client authentication': having({
      clientAuthentication: { kind: 'client_secret_post', clientSecret: new Redacted(SECRET) },
    }),
    scopes: having({ scopes: ['read', 'write'] }),
    audience: having({ audience: 'https://api.example.com' }),
    resource: having({ resource: 'https://api.example.com' }),
    parameters: having({ parameters: new Map([['organization', 'one']]) }),
    CA: having({ ca: 'other' }),
    proxy: having({ proxy: new Redacted('http://proxy:3128') }),
    grant: having({ grant: { kind: 'refresh_token' } }),
  },
  sameTokens: {
    timeout: having({ timeoutMs: 1, lockTimeMs: 2 }),
    refresh: having({ refresh: { ahead: { kind: 'off' }, keepWarm: true } }),
    'bound of lives': having({ maxLifetimeMs: 60_000 }),
  },
});
