import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { ok, Redacted } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { expect, it, vi } from 'vitest';
import type { IssuedToken, ProviderImplementation } from '../../app/ports/provider.js';
import { silentLog } from './fakes/silent-log.js';
import { sourceOf } from '../../app/fakes/fake-cluster.js';
import { createProvider } from './provider-registry.js';

const seen = vi.hoisted(() => ({ loaded: false, source: '' }));

vi.mock('./oauth2/oauth2-provider.js', () => {
  seen.loaded = true;
  return {
    createOAuth2Provider: ({ name }: OAuth2SourceConfiguration): ProviderImplementation => {
      seen.source = name;
      return { fetch: () => Promise.resolve(ok(issued)) };
    },
  };
});

const issued: IssuedToken = { accessToken: new Redacted('token'), tokenType: 'Bearer', lifeMs: 1 };

it('loads the code of a provider when a source uses it, and not before', async () => {
  expect(seen.loaded).toBe(false);
  const lend = (): Promise<never> => Promise.reject(new Error('not asked for'));
  const provider = createProvider(sourceOf(), { clock: new VirtualClock(), log: silentLog, lend });
  expect(await provider.fetch({ scopes: [] })).toEqual(ok(issued));
  expect(seen).toEqual({ loaded: true, source: 'payments-api' });
});
