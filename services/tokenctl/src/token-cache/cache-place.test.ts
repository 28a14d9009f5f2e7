import { Redacted } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import type { ConnectionSettings } from '../connection-settings.js';
import { cacheDirectory, cacheKeyOf } from './cache-place.js';

const settings: ConnectionSettings = {
  servers: ['nats://a:4222', 'b'],
  login: { kind: 'user', user: 'orders', password: new Redacted('one') },
  caller: 'orders',
  timeoutMs: 1,
};
const creds = (text: string): ConnectionSettings['login'] => ({ kind: 'creds', creds: new Redacted(text) });

const keyOf = (changed: Partial<ConnectionSettings>, parameters = {}, source = 'payments'): string =>
  Object.values(cacheKeyOf({ ...settings, ...changed }, source, parameters) ?? {}).join('.');

describe('the key of a token on disk (D1, D4)', () => {
  const { password } = { password: new Redacted('one') };

  it('is another one wherever the token, or who asks for it, may be another', () => {
    const keys = [
      keyOf({}),
      keyOf({ servers: ['nats://a:4222'] }),
      keyOf({ servers: ['tls://a:4222', 'b'] }),
      keyOf({ subjectPrefix: 'staging' }),
      keyOf({ caller: 'billing' }),
      keyOf({ ca: 'PEM' }),
      keyOf({ login: { kind: 'none' } }),
      keyOf({ login: { kind: 'user', user: 'billing', password } }),
      keyOf({ login: creds('one') }),
      keyOf({ login: creds('two') }),
      keyOf({ login: { kind: 'nkey', seed: new Redacted('one') } }),
      keyOf({}, {}, 'mailbox'),
      keyOf({}, { scope: 'a' }),
      keyOf({}, { scope: 'a b' }),
      keyOf({}, { audience: 'a' }),
      keyOf({}, { resource: 'a' }),
      keyOf({}, { subjectToken: 'a' }),
      keyOf({}, { subjectToken: 'b' }),
      keyOf({}, { subjectToken: 'a', actorToken: 'b' }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('is the same for the same, however it is written', () => {
    expect(keyOf({ servers: ['b', 'NATS://a:4222'], subjectPrefix: 'token-broker' })).toBe(keyOf({}));
    expect(keyOf({}, { scope: 'b  a b' })).toBe(keyOf({}, { scope: ['a', 'b'] }));
  });

  it('holds nothing that passwords or subject tokens could be found from', () => {
    expect(keyOf({ login: { kind: 'user', user: 'orders', password: new Redacted('two') } })).toBe(keyOf({}));
    expect(keyOf({}, { subjectToken: 'canary' })).not.toContain('canary');
  });

  it('does not exist for what no broker takes', () => {
    expect(keyOf({}, { scope: '\u0000' })).toBe('');
    expect(keyOf({}, {}, '../payments')).toBe('');
  });
});

describe('the directory of the cache', () => {
  it.each([
    [{ HOME: '/h/a' }, 'linux', '/h/a/.cache/tokenctl'],
    [{ HOME: '/h/a' }, 'darwin', '/h/a/Library/Caches/tokenctl'],
    [{ HOME: '/h/a', XDG_CACHE_HOME: '/var/c' }, 'linux', '/var/c/tokenctl'],
    [{ HOME: '/h/a', XDG_CACHE_HOME: 'relative' }, 'linux', '/h/a/.cache/tokenctl'],
    [{ HOME: '/h/a', XDG_CACHE_HOME: '/c', TOKENCTL_CACHE_DIR: '/mine' }, 'linux', '/mine'],
    [{ HOME: '' }, 'linux', undefined],
    [{}, 'darwin', undefined],
  ] as const)('of %j on %s is %s', (env, platform, directory) => {
    expect(cacheDirectory(env, platform)).toBe(directory);
  });
});
