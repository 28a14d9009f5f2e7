import { createSystemClock } from '@token-broker/foundation';
import { encode } from '@token-broker/protocol';
import {
  eventually,
  startIdentityProvider,
  startScriptedIdentityProvider,
  type IdentityClient,
  type IdentityProvider,
  type ScriptedIdentityProvider,
} from '@token-broker/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { claimsOf, introspected, ownToken, personsToken } from './identity.js';
import { createRawCaller, subjects } from './raw-caller.js';
import { createSigningPair } from './signing-keys.js';
import { CLIENT_ID, CLIENT_SECRET, sourceSettings, startStack, type Stack } from './stack.js';

const ORDERS: IdentityClient = { clientId: 'orders', clientSecret: 'orders-secret' };
const BILLING: IdentityClient = { clientId: 'billing', clientSecret: 'billing-secret' };
/** The caller `orders` under another name, whose tokens soon end. */
const HASTY: IdentityClient = { clientId: 'orders-hasty', clientSecret: 'hasty-secret' };
const HASTY_LIFE_SECONDS = 3;
/** Its own tokens end at a whole second; the rest is what a loaded machine adds. */
const REFUSED_WITHIN_MS = HASTY_LIFE_SECONDS * 1_000 + 3_000;

/** Whose tokens callers bring along too. */
const ISSUER = 'https://workloads.example';
const AUDIENCE = 'https://broker.example';
const issuerKey = createSigningPair('workloads-1');

const clients = [ORDERS, BILLING, HASTY];
const tokenLifeSeconds = (clientId: string): number => (clientId === HASTY.clientId ? HASTY_LIFE_SECONDS : 600);

let stack: Stack;
/** Its tokens are JWTs. */
let signing: IdentityProvider;
/** Where the keys of another issuer are. */
let keys: ScriptedIdentityProvider;

beforeAll(async () => {
  const payments = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, scopes: ['payments:read', 'payments:write'] };
  signing = await startIdentityProvider({ clients: [payments, ...clients], tokenFormat: 'jwt', tokenLifeSeconds });
  keys = await startScriptedIdentityProvider(() => ({ body: { keys: [issuerKey.publicKey] } }));
  const exchange = { grant: 'token_exchange' };
  stack = await startStack({
    clients,
    tokenLifeSeconds,
    configure: (settings, idp) => ({
      ...settings,
      sources: {
        introspected: sourceSettings(idp, { ...exchange, subjectToken: { check: 'introspection' } }),
        signed: sourceSettings(signing, { ...exchange, subjectToken: { check: 'jwt' } }),
        foreign: sourceSettings(signing, {
          ...exchange,
          subjectToken: { check: 'jwt', issuer: ISSUER, jwksUri: `${keys.issuer}/jwks`, audience: AUDIENCE },
        }),
        plain: sourceSettings(idp),
      },
      callers: {
        orders: { sources: '*', clientIds: [ORDERS.clientId, HASTY.clientId] },
        billing: { sources: '*' },
        ops: { sources: ['*'], admin: true },
      },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await Promise.all([signing.stop(), keys.stop()]);
});

/** Undefined: it was answered with a token. */
async function refusalOf(caller: string, source: string, body: object): Promise<string | undefined> {
  const connection = await stack.connectAs(caller);
  return ask(connection, caller, source, body).then(() => undefined, String);
}

describe.each(['introspected', 'signed'])('a subject token that is checked: %s', (source) => {
  let idp: IdentityProvider;
  beforeEach(() => {
    idp = source === 'signed' ? signing : stack.idp;
  });

  /** What the brokers have asked the token endpoint for since then. */
  async function exchangesDuring(work: () => Promise<unknown>): Promise<number> {
    const exchanges = (): number => idp.requests().filter(({ grant }) => grant.includes('token-exchange')).length;
    const before = exchanges();
    await work();
    return exchanges() - before;
  }

  it('belongs to the caller, and is exchanged once for all replicas', async () => {
    const subjectToken = await ownToken(idp, ORDERS);
    const connection = await stack.connectAs('orders');
    const calls = await exchangesDuring(async () => {
      const answers = await Promise.all(
        Array.from({ length: 60 }, () => ask(connection, 'orders', source, { subjectToken })),
      );
      expect(new Set(answers.map(({ accessToken }) => accessToken)).size).toBe(1);
    });
    expect(calls).toBe(1);
  });

  it('G9: of another caller is refused, also when its exchange is there already, and no call is made of it', async () => {
    const subjectToken = await ownToken(idp, ORDERS);
    await (await stack.client('orders')).source(source, { subjectToken }).get();
    const calls = await exchangesDuring(async () => {
      for (let i = 0; i < 10; i++)
        expect(await refusalOf('billing', source, { subjectToken })).toMatch(/FORBIDDEN: .*not issued to this caller/);
      // Nor may somebody else's token act for a subject of one's own.
      const own = await ownToken(idp, BILLING);
      const borrowed = { subjectToken: own, actorToken: subjectToken };
      expect(await refusalOf('billing', source, borrowed)).toMatch(
        /FORBIDDEN: the actor token was not issued to this caller/,
      );
    });
    expect(calls).toBe(0);
  });

  it('I4 G9: is the only one whose owner may report that its exchange is refused', async () => {
    const subjectToken = await ownToken(idp, ORDERS);
    const client = await stack.client('orders', { refetchOnRevoke: false });
    const handle = client.source(source, { subjectToken });
    const token = await handle.get();
    const { epoch, generation } = token;
    const report = { subjectToken, epoch, generation };
    const calls = await exchangesDuring(async () => {
      const thief = createRawCaller(await stack.connectAs('billing'), 'billing');
      const refusal = await thief.refusal(subjects.rejected('billing', source), encode(report));
      expect(refusal).toMatchObject({ code: 'FORBIDDEN' });
      expect(await ask(await stack.connectAs('orders'), 'orders', source, { subjectToken })).toMatchObject({
        generation,
      });
    });
    expect(calls).toBe(0);

    expect(await handle.reportRejected(token)).toBe('dropped');
    expect((await handle.get()).generation).toBeGreaterThan(generation);
  });

  it('that was made up is refused, and no call is made of it', async () => {
    const token = await ownToken(idp, BILLING);
    const [head = '', ...rest] = token.split('.');
    const forged =
      source === 'signed'
        ? [head, encoded({ ...claimsOf(token), client_id: 'orders' }), rest[1]].join('.')
        : `${token.slice(0, -4)}AAAA`;
    const calls = await exchangesDuring(async () => {
      expect(await refusalOf('orders', source, { subjectToken: forged })).toMatch(/FORBIDDEN: .*not good/);
    });
    expect(calls).toBe(0);
  });
});

describe('an expired subject token', () => {
  it('is refused when the provider says so, although its exchange would still be good', async () => {
    const subjectToken = await ownToken(stack.idp, HASTY);
    const connection = await stack.connectAs('orders');
    const wish = { subjectToken };
    const exchanged = await ask(connection, 'orders', 'introspected', wish);
    expect(exchanged.expiresInMs).toBeGreaterThan(REFUSED_WITHIN_MS);
    const refusal = await eventually(() => refusalOf('orders', 'introspected', wish), {
      what: 'a refusal',
      withinMs: REFUSED_WITHIN_MS,
    });
    expect(refusal).toMatch(/FORBIDDEN: .*not good/);
    const calls = stack.idpCalls();
    expect(await refusalOf('orders', 'introspected', wish)).toMatch(/FORBIDDEN: .*not good/);
    expect(stack.idpCalls()).toBe(calls);
  });

  it('is refused by its own word, as one of another issuer or for another audience is', async () => {
    /** What clocks may differ by. */
    const TOLERANCE_SECONDS = 30;
    const nowSeconds = Math.floor(createSystemClock().wallMs() / 1_000);
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'orders', exp: nowSeconds + 60 };
    const refused = (change: object) =>
      refusalOf('orders', 'foreign', { subjectToken: issuerKey.sign({ ...claims, ...change }) });
    const calls = signing.counts().tokenRequests;
    for (const change of [
      { exp: nowSeconds - TOLERANCE_SECONDS - 1 },
      { exp: undefined },
      { nbf: nowSeconds + TOLERANCE_SECONDS + 30 },
      { iss: 'https://elsewhere.example' },
      { aud: 'https://elsewhere.example' },
    ])
      expect(await refused(change), JSON.stringify(change)).toMatch(/FORBIDDEN: .*not good/);
    expect(await refused({ client_id: 'billing' })).toMatch(/FORBIDDEN: .*not issued to this caller/);
    expect(signing.counts().tokenRequests).toBe(calls);
    // Only then is the identity provider asked, which does not know the issuer.
    expect(await refused({})).toContain('IDP_DENIED');
    expect(signing.counts().tokenRequests).toBe(calls + 1);
  });
});

describe('K3: what is asked for on behalf of somebody', () => {
  it('K3: two subjects, and one with and without an actor, never share a slot, an exchange or a token', async () => {
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((who) => personsToken(stack.idp, ORDERS, who)));
    const actorToken = await ownToken(stack.idp, ORDERS);
    if (alice === undefined || bob === undefined) throw new Error('no tokens');
    const client = await stack.client('orders');
    const wishes = [
      { subjectToken: alice },
      { subjectToken: bob },
      { subjectToken: alice, actorToken },
      { subjectToken: bob, actorToken },
    ];
    const handles = wishes.map((wish) => client.source('introspected', wish));
    const tokens = await Promise.all(handles.map((handle) => handle.get()));
    expect(new Set(handles.map(({ slot }) => slot)).size).toBe(wishes.length);
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(wishes.length);
    const whose = await Promise.all(tokens.map(({ accessToken }) => introspected(stack.idp, accessToken)));
    expect(whose.map(({ sub }) => sub)).toEqual(['alice', 'bob', 'alice', 'bob']);
    expect(whose.map(({ act }) => act)).toEqual([undefined, undefined, { sub: 'orders' }, { sub: 'orders' }]);
    // And through any replica: each asks on its own.
    const connection = await stack.connectAs('orders');
    for (const [index, wish] of wishes.entries())
      for (let i = 0; i < 6; i++) {
        const answer = await ask(connection, 'orders', 'introspected', wish);
        expect(answer.accessToken).toBe(tokens[index]?.accessToken);
      }
  });

  it('K3: a subject token cannot be spelt to look like two', async () => {
    const [subject, actor] = await Promise.all([ownToken(stack.idp, ORDERS), ownToken(stack.idp, ORDERS)]);
    const connection = await stack.connectAs('orders');
    await ask(connection, 'orders', 'introspected', { subjectToken: subject, actorToken: actor });
    await expect(ask(connection, 'orders', 'introspected', { subjectToken: `${subject}\n${actor}` })).rejects.toThrow(
      /BAD_REQUEST|FORBIDDEN/,
    );
  });

  it('needs a subject token where the source says so, and takes none elsewhere', async () => {
    const connection = await stack.connectAs('orders');
    await expect(ask(connection, 'orders', 'introspected')).rejects.toThrow('BAD_REQUEST');
    const subjectToken = await ownToken(stack.idp, ORDERS);
    await expect(ask(connection, 'orders', 'plain', { subjectToken })).rejects.toThrow('BAD_REQUEST');
    const actorToken = subjectToken;
    await expect(ask(connection, 'orders', 'introspected', { actorToken })).rejects.toThrow('BAD_REQUEST');
  });
});

function encoded(claims: object): string {
  return Buffer.from(JSON.stringify(claims)).toString('base64url');
}
