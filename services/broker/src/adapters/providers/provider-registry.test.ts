import { ok, Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { VirtualClock } from '@token-broker/testing';
import { expect, it, vi } from 'vitest';
import type { IssuedToken, Provider } from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';
import { createLoadedProvider, createProvider } from './provider-registry.js';

const seen = vi.hoisted(() => ({ loaded: false, source: '' }));

vi.mock('./oauth2/oauth2-provider.js', () => {
  seen.loaded = true;
  return {
    createOAuth2Provider: ({ name }: OAuth2SourceConfiguration): Provider => {
      seen.source = name;
      return { ...idle, fetch: () => Promise.resolve(ok(issued)) };
    },
  };
});

const idle: Provider = {
  fetch: () => Promise.reject(new Error('not asked for')),
  revoke: () => Promise.resolve(ok('unsupported')),
  readSubject: () => Promise.resolve(ok(undefined)),
  close: () => Promise.resolve(),
};
const issued: IssuedToken = { accessToken: new Redacted('token'), tokenType: 'Bearer', lifeMs: 1 };
const nothing = (): void => undefined;
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

it('loads the code of a provider when a source uses it, and not before', async () => {
  expect(seen.loaded).toBe(false);
  const source = { name: 'payments-api', provider: 'oauth2' } as OAuth2SourceConfiguration;
  const provider = createProvider(source, { clock: new VirtualClock(), log });
  expect(await provider.fetch({ scopes: [] })).toEqual(ok(issued));
  expect(seen).toEqual({ loaded: true, source: 'payments-api' });
});

it('answers with a failure, and closes, when the code cannot be loaded', async () => {
  const provider = createLoadedProvider(() => Promise.reject(new Error('Cannot find package "sdk"')));
  expect(await provider.fetch({ scopes: [] })).toEqual({
    ok: false,
    error: {
      code: 'IDP_UNAVAILABLE',
      message: "the provider's code could not be loaded",
      detail: 'Cannot find package "sdk"',
    },
  });
  await provider.close();
});

it('closes the provider also while its code is being loaded', async () => {
  let load: (provider: Provider) => void = nothing;
  const loading = new Promise<Provider>((resolve) => {
    load = resolve;
  });
  const provider = createLoadedProvider(() => loading);
  const close = vi.fn(() => Promise.resolve());
  const closed = provider.close();
  load({ ...idle, close });
  await closed;
  expect(close).toHaveBeenCalledOnce();
});
