import {
  createCertificate,
  startIdentityProvider,
  type IdentityClient,
  type IdentityProvider,
  type TestCertificate,
} from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { createSigningPair } from './signing-keys.js';
import { startStack, type Settings, type Stack } from './stack.js';

const SECRET = 'a-secret';
const OTHER_SECRET = 'another-secret';
const [firstKey, secondKey] = [createSigningPair('key-1'), createSigningPair('key-2')];
const KEYS = [firstKey.publicKey, secondKey.publicKey];
const SCOPES = ['a', 'ab', 'b', 'bc', 'c'];
const PAYMENTS = 'https://payments.example';

const CLIENTS: IdentityClient[] = [
  { clientId: 'first', clientSecret: SECRET, scopes: SCOPES, keys: KEYS },
  { clientId: 'second', clientSecret: SECRET, scopes: SCOPES },
  { clientId: 'signing', clientAuthentication: 'private_key_jwt', keys: KEYS },
];

let stack: Stack;
let orders: NatsConnection;
let other: IdentityProvider;
let server: TestCertificate;
let foreign: TestCertificate;

/** What a case begins with, and what is changed then. */
interface Case {
  readonly base?: Change;
  readonly change: Change;
}
type Change = (idp: IdentityProvider) => Settings;

const ASSERTED: Settings = { grant: 'jwt_bearer', assertion: { privateKey: firstKey.jwk, subject: 'robot' } };
const assertedWith = (change: Settings): Settings => ({
  assertion: { ...(ASSERTED['assertion'] as Settings), ...change },
});
const SIGNING: Settings = {
  clientId: 'signing',
  clientSecret: undefined,
  clientAuthentication: 'private_key_jwt',
  privateKey: firstKey.jwk,
};
const POSTED: Settings = { clientAuthentication: 'client_secret_post' };

/** Whatever may change a token. */
const CHANGES: Readonly<Record<string, Case>> = {
  issuer: { change: () => ({ issuer: other.issuer }) },
  'the issuer, by a slash alone': { change: (idp) => ({ issuer: `${idp.issuer}/` }) },
  'the token endpoint': {
    base: (idp) => ({ issuer: undefined, tokenEndpoint: idp.tokenEndpoint }),
    change: (idp) => ({ tokenEndpoint: `${idp.tokenEndpoint}?tenant=north` }),
  },
  'client id': { change: () => ({ clientId: 'second' }) },
  'client secret': { change: () => ({ clientSecret: OTHER_SECRET }) },
  CA: { change: () => ({ ca: `${server.cert}${foreign.cert}` }) },
  scope: { change: () => ({ scope: 'b' }) },
  audience: { change: () => ({ audience: PAYMENTS }) },
  resource: { base: () => ({ resource: PAYMENTS }), change: () => ({ resource: `${PAYMENTS}/` }) },
  parameters: { change: () => ({ parameters: { tenant: 'north' } }) },
  'the subject of assertions': { base: () => ASSERTED, change: () => assertedWith({ subject: 'another robot' }) },
  'a claim of assertions': { base: () => ASSERTED, change: () => assertedWith({ claims: { tenant: 'north' } }) },
  'the key of assertions': { base: () => ASSERTED, change: () => assertedWith({ privateKey: secondKey.jwk }) },
  'the key of the client': { base: () => SIGNING, change: () => ({ privateKey: secondKey.jwk }) },
  'the key id of the client': { base: () => SIGNING, change: () => ({ keyId: 'key-2' }) },
  'client authentication': { change: () => POSTED },
};

/** What changes no token costs none. */
const NO_CHANGES: Readonly<Record<string, Case>> = {
  'the order of scopes': { base: () => ({ scope: 'a b' }), change: () => ({ scope: ['b', 'a', 'b'] }) },
  timeout: { change: () => ({ timeout: '9s', lockTime: '15s' }) },
  quota: { change: () => ({ quota: { limit: 1_000, window: '1h' } }) },
  'refresh ahead': { change: () => ({ refresh: { ahead: '10%' } }) },
  'the life of assertions': { base: () => ASSERTED, change: () => assertedWith({ lifetime: '90s' }) },
};

function named(prefix: string, cases: Readonly<Record<string, Case>>): [string, string, Case][] {
  return Object.entries(cases).map(([what, one], index) => [what, `${prefix}-${String(index)}`, one]);
}
const changes = named('change', CHANGES);
const noChanges = named('same', NO_CHANGES);

beforeAll(async () => {
  [server, foreign] = await Promise.all([createCertificate(), createCertificate()]);
  other = await startIdentityProvider({ clients: CLIENTS, tls: server });
  stack = await startStack({
    brokers: 2,
    clients: CLIENTS,
    identity: { tls: server },
    configure: (settings, idp) => {
      const base: Settings = {
        provider: 'oauth2',
        issuer: idp.issuer,
        ca: server.cert,
        clientId: 'first',
        clientSecret: SECRET,
      };
      const sources = [...changes, ...noChanges].map(
        ([, name, one]) => [name, { ...base, ...one.base?.(idp) }] as const,
      );
      return {
        ...settings,
        sources: { ...Object.fromEntries(sources), plain: base },
        callers: {
          orders: { sources: [{ name: '*', scopes: 'any', audiences: 'any' }] },
          ops: { sources: ['*'], admin: true },
        },
      };
    },
  });
  orders = await stack.connectAs('orders');
});
afterAll(async () => {
  await stack.stop();
  await other.stop();
});

const calls = (): number => stack.idpCalls() + other.counts().tokenRequests;

async function callsOf<T>(work: () => Promise<T>): Promise<{ readonly calls: number; readonly value: T }> {
  const before = calls();
  const value = await work();
  return { calls: calls() - before, value };
}

/** The token, or the error, of one request. */
function answerOf(source: string): Promise<string> {
  return ask(orders, 'orders', source).then(({ accessToken }) => accessToken, String);
}

describe('a reload that changes a source', () => {
  /** What each source's token was before all of them were changed. */
  const before = new Map<string, string>();

  beforeAll(async () => {
    const cases = [...changes, ...noChanges];
    for (const [, name] of cases) before.set(name, await answerOf(name));
    await stack.rewrite((settings) => {
      const sources = settings['sources'] as Readonly<Record<string, Settings>>;
      const changed = cases.map(([, name, { change }]) => [name, { ...sources[name], ...change(stack.idp) }] as const);
      return { ...settings, sources: { ...sources, ...Object.fromEntries(changed) } };
    });
    await Promise.all(stack.brokers.map((broker) => broker.reload()));
  });

  it.each(changes)('K2: %s: a new fetch', async (_, source) => {
    expect(before.get(source)).not.toContain('Error');
    const { calls: fetches, value } = await callsOf(() => answerOf(source));
    expect(fetches).toBe(1);
    expect(value).not.toBe(before.get(source));
  });

  it.each(noChanges)('K2: not %s: no fetch, the same token', async (_, source) => {
    expect(before.get(source)).not.toContain('Error');
    expect(await callsOf(() => answerOf(source))).toEqual({ calls: 0, value: before.get(source) });
  });
});

describe('what a caller asks for', () => {
  const SOURCE = 'plain';

  it('K3: names that only look alike when they are joined share nothing', async () => {
    const client = await stack.client('orders');
    const wishes = [{ scope: ['a', 'bc'] }, { scope: ['ab', 'c'] }, { resource: PAYMENTS }, { audience: PAYMENTS }];
    const handles = wishes.map((wish) => client.source(SOURCE, wish));
    const { calls: fetches, value: tokens } = await callsOf(() => Promise.all(handles.map((handle) => handle.get())));
    expect(fetches).toBe(wishes.length);
    expect(new Set(handles.map(({ slot }) => slot)).size).toBe(wishes.length);
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(wishes.length);
    expect(tokens.slice(0, 2).map(({ scope }) => scope)).toEqual(['a bc', 'ab c']);
  });

  it('K4: reordered scopes share one entry, and an invalidation of one spelling hits the other', async () => {
    const spellings = ['c a', ['a', 'c'], ['c', 'a', 'c']];
    const clients = await Promise.all(spellings.map(() => stack.client('orders', { refetchOnRevoke: false })));
    const handles = clients.map((client, index) => client.source(SOURCE, { scope: spellings[index] ?? '' }));
    const { calls: fetches, value: tokens } = await callsOf(() => Promise.all(handles.map((handle) => handle.get())));
    expect(fetches).toBe(1);
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(1);
    const [first] = handles;
    const reply = await (
      await stack.operator()
    ).revoke({ selector: { slot: first?.slot ?? '' }, wait: true, timeoutMs: 5_000, reason: 'a test' });
    expect(reply).toMatchObject({ slots: 1, complete: true, receipts: { stragglers: [] } });
    expect(handles.map(({ current }) => current)).toEqual(spellings.map(() => undefined));
    const again = await callsOf(() => Promise.all(handles.map((handle) => handle.get())));
    expect(again.calls).toBe(1);
    expect(again.value.every(({ generation }) => generation > Number(tokens[0]?.generation))).toBe(true);
  });

  it.each(['audience', 'resource'] as const)('K4: the %s is compared exactly', async (what) => {
    const client = await stack.client('orders');
    const spellings = ['https://ledger.example', 'https://ledger.example/', 'https://LEDGER.example'];
    const handles = spellings.map((spelling) => client.source(SOURCE, { [what]: spelling }));
    const { calls: fetches } = await callsOf(() => Promise.all(handles.map((handle) => handle.get())));
    expect(fetches).toBe(spellings.length);
    const sent = stack.idp.requests().slice(-spellings.length);
    expect(sent.map(({ form }) => form.get(what)).sort()).toEqual([...spellings].sort());
  });
});
