import { traitsOf, type OAuth2SourceConfiguration, type SigningKey } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { expect, it } from 'vitest';
import { configurationOf, sourceOf } from '../fakes/fake-cluster.js';
import { CAPABILITIES } from '../fakes/fake-provider.js';
import type { Provider } from '../ports/provider.js';
import { planConfiguration, type Plan } from './reconfigure.js';
import { Sources } from './sources.js';

const KEY = new Uint8Array(32).fill(7);
const KEY_OF_CLIENT: SigningKey = { privateKey: new Redacted('key'), algorithm: 'ES256' };

function provider(): Provider {
  const notAskedFor = (): Promise<never> => Promise.reject(new Error('not asked for'));
  return {
    capabilities: CAPABILITIES,
    fetch: notAskedFor,
    revoke: notAskedFor,
    readSubject: notAskedFor,
    close: () => Promise.resolve(),
  };
}

const kinds = { createProvider: provider, traitsOf };

function assertionOf(lifetimeMs: number): OAuth2SourceConfiguration['grant'] {
  const names = { issuer: 'payments', subject: 'payments' };
  return {
    kind: 'jwt_bearer',
    assertion: { from: 'key', key: KEY_OF_CLIENT, ...names, lifetimeMs, claims: new Map() },
  };
}

/** What a reload from one to the other comes to. */
function planned(from: Partial<OAuth2SourceConfiguration>, to: Partial<OAuth2SourceConfiguration>): Plan {
  const [before, after] = [from, to].map((change) =>
    configurationOf({ sources: new Map([['payments-api', sourceOf(change)]]) }),
  );
  if (before === undefined || after === undefined) throw new RangeError('two of two');
  const first = planConfiguration(new Sources(4).current, before, KEY, kinds);
  return planConfiguration(first.snapshot, after, KEY, kinds);
}

const tokenEndpoint = 'https://login.example.com/token';
const endpoint = { kind: 'token-endpoint', tokenEndpoint } as const;

it.each<[string, Partial<OAuth2SourceConfiguration>, Partial<OAuth2SourceConfiguration>]>([
  ['timeout', {}, { timeoutMs: 1 }],
  [
    'introspection endpoint',
    { endpoint: { ...endpoint, introspectionEndpoint: 'https://login.example.com/one' } },
    { endpoint: { ...endpoint, introspectionEndpoint: 'https://login.example.com/two' } },
  ],
  ['revocation endpoint', { endpoint }, { endpoint: { ...endpoint, revocationEndpoint: tokenEndpoint } }],
  ['life of assertions', { grant: assertionOf(60_000) }, { grant: assertionOf(30_000) }],
])('another %s takes another provider, and leaves the tokens as they are', (_, from, to) => {
  const { made, retired, changed } = planned(from, to);
  expect([made.length, retired.length, changed.length]).toEqual([1, 1, 0]);
});

it('another quota takes no other provider, and is the one that counts', () => {
  const quota = [{ limit: 5, window: { kind: 'sliding', ms: 60_000 }, reserve: 0 }] as const;
  const { made, retired, snapshot } = planned({}, { quota });
  expect([made.length, retired.length]).toEqual([0, 0]);
  expect(snapshot.sources.get('payments-api')?.quota).toEqual(quota);
});
