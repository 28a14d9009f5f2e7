import { traitsOf, type OAuth2SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { tokenHashOf } from '../../domain/recipe.js';
import { configurationOf, sourceOf } from '../fakes/fake-cluster.js';
import { fingerprintOf, fingerprintsOf } from './source-fingerprints.js';

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const recipe = (change: Partial<OAuth2SourceConfiguration> = {}, key = KEY): string =>
  fingerprintsOf(key, traitsOf(sourceOf(change))).recipe;

describe('a recipe', () => {
  it.each<[string, Partial<OAuth2SourceConfiguration>]>([
    ['issuer', { endpoint: { kind: 'issuer', issuer: 'https://other.example.com' } }],
    ['endpoint of the same name', { endpoint: { kind: 'token-endpoint', tokenEndpoint: 'https://login.example.com' } }],
    ['client id', { clientId: 'other' }],
    ['client secret', { clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted('other') } }],
    [
      'client authentication',
      { clientAuthentication: { kind: 'client_secret_post', clientSecret: new Redacted('secret') } },
    ],
    ['scopes', { scopes: ['payments:read', 'payments:write'] }],
    ['no scopes', { scopes: [] }],
    ['scopes that look alike when joined', { scopes: ['payments', 'read'] }],
    ['audience', { audience: 'https://api.example.com' }],
    ['resource', { resource: 'https://api.example.com' }],
    ['parameters', { parameters: new Map([['organization', 'one']]) }],
    ['CA', { ca: '-----BEGIN CERTIFICATE-----' }],
    ['whether HTTP is allowed', { allowInsecureHttp: true }],
    ['whether narrower scopes are accepted', { acceptNarrowerScope: true }],
  ])('K2: is another one with another %s', (_, change) => {
    expect(recipe(change)).not.toBe(recipe());
  });

  it('does not take an audience for a resource', () => {
    expect(recipe({ audience: 'x' })).not.toBe(recipe({ resource: 'x' }));
  });

  it('is the same in whatever order parameters are written', () => {
    const [one, two] = [
      ['a', '1'],
      ['b', '2'],
    ] as const;
    expect(recipe({ parameters: new Map([one, two]) })).toBe(recipe({ parameters: new Map([two, one]) }));
    const swapped = new Map([
      ['a', '2'],
      ['b', '1'],
    ]);
    expect(recipe({ parameters: swapped })).not.toBe(recipe({ parameters: new Map([one, two]) }));
  });

  it.each<[string, Partial<OAuth2SourceConfiguration>]>([
    ['timeouts', { timeoutMs: 1, lockTimeMs: 2 }],
    ['lifetimes', { defaultLifetimeMs: 1, maxLifetimeMs: 2 }],
    ['refresh', { refresh: { ahead: { kind: 'off' }, keepWarm: true } }],
  ])('is the same with other %s: they change no token', (_, change) => {
    expect(recipe(change)).toBe(recipe());
  });

  it('cannot be computed without its key', () => {
    expect(recipe({}, OTHER_KEY)).not.toBe(recipe());
  });
});

it('knows a token again by a hash that says nothing without the key', () => {
  expect(tokenHashOf(KEY, 'token')).toBe(tokenHashOf(KEY, 'token'));
  expect(tokenHashOf(KEY, 'token')).not.toBe(tokenHashOf(KEY, 'tokem'));
  expect(tokenHashOf(KEY, 'token')).not.toBe(tokenHashOf(OTHER_KEY, 'token'));
});

describe('the fingerprint of a configuration', () => {
  const fingerprint = (change: Parameters<typeof configurationOf>[0] = {}): string =>
    fingerprintOf(KEY, configurationOf(change), traitsOf);
  const { callers } = configurationOf();
  const orders = callers.get('orders') ?? { name: 'orders', grants: new Map(), admin: false, clientIds: ['orders'] };

  it('is the same in whatever order callers and sources are written', () => {
    expect(fingerprint({ callers: new Map([...callers].reverse()) })).toBe(fingerprint());
  });

  it.each([
    ['a source', { sources: new Map([['payments-api', sourceOf({ clientId: 'other' })]]) }],
    ['an operator', { callers: new Map([...callers, ['orders', { ...orders, admin: true }]]) }],
    ['a grant', { callers: new Map([...callers, ['orders', { ...orders, grants: new Map() }]]) }],
    ['a caller', { callers: new Map([...callers].slice(1)) }],
  ])('is another one with %s changed', (_, change) => {
    expect(fingerprint(change)).not.toBe(fingerprint());
  });
});
