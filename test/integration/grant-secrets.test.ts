import { inspect } from 'node:util';
import {
  startScriptedIdentityProvider,
  type IdentityClient,
  type ScriptedIdentityProvider,
} from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EverythingSeen } from './everything-seen.js';
import { ownToken, personsToken, spendDirectly } from './identity.js';
import { dumpRedis } from './redis-dump.js';
import { createSigningPair } from './signing-keys.js';
import { leaks, type Seen } from './spellings.js';
import { CLIENT_ID, sourceSettings, startStack, type Settings, type Stack } from './stack.js';
import { tokenctl } from './tokenctl.js';

const CONSENT = 'openid offline_access payments:read payments:write';
const SUCCESSOR = 'canary-successor/of+a=refused reply';
const key = createSigningPair('key-1');
const ORDERS: IdentityClient = { clientId: 'orders', clientSecret: 'orders-secret' };
const SIGNING: IdentityClient = {
  clientId: 'signing',
  clientAuthentication: 'private_key_jwt',
  keys: [key.publicKey],
  scopes: ['a'],
};

let stack: Stack;
let echo: ScriptedIdentityProvider;
let redis: Redis;
let seen: EverythingSeen;
const refreshTokens: string[] = [];
const subjectTokens: string[] = [];

beforeAll(async () => {
  echo = await startScriptedIdentityProvider(({ form }) => echoed(form));
  stack = await startStack({
    brokers: 2,
    clients: [ORDERS, SIGNING],
    configure: (settings, idp) => {
      const exchange = { grant: 'token_exchange', subjectToken: { check: 'introspection' } };
      const echoing = {
        issuer: undefined,
        tokenEndpoint: echo.tokenEndpoint,
        introspectionEndpoint: idp.introspectionEndpoint,
      };
      return {
        ...settings,
        log: { level: 'debug' },
        sources: {
          mailbox: sourceSettings(idp, { grant: 'refresh_token' }),
          exchanged: sourceSettings(idp, exchange),
          asserted: sourceSettings(idp, {
            grant: 'jwt_bearer',
            clientId: 'signing',
            clientSecret: undefined,
            clientAuthentication: 'private_key_jwt',
            privateKey: key.jwk,
            scope: 'a',
          }),
          'echo-refresh': sourceSettings(idp, { ...echoing, grant: 'refresh_token' }),
          'echo-bound': sourceSettings(idp, { ...echoing, grant: 'refresh_token', parameters: { echo: 'bound' } }),
          'echo-exchange': sourceSettings(idp, { ...echoing, ...exchange }),
          'echo-asserted': sourceSettings(idp, {
            ...{ grant: 'jwt_bearer', issuer: undefined, tokenEndpoint: echo.tokenEndpoint },
            assertion: { privateKey: key.pem },
          }),
        },
        callers: {
          orders: { sources: '*' },
          billing: { sources: '*' },
          ops: { sources: ['*'], admin: true },
        } satisfies Settings,
      };
    },
  });
  seen = await EverythingSeen.of(stack);
  redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  await drive();
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([stack.stop(), echo.stop()]);
});

/** A provider that repeats what it was sent wherever a reply has room for a text; or issues a token that is of no use. */
function echoed(form: Readonly<Record<string, string>>): { readonly status: number; readonly body: object } {
  if (form['echo'] === 'bound')
    return { status: 200, body: { access_token: 'x', token_type: 'DPoP', refresh_token: SUCCESSOR } };
  const given = form['refresh_token'] ?? form['subject_token'] ?? form['assertion'] ?? '';
  return { status: 400, body: { error: given, error_description: `wrong: ${JSON.stringify(form)}`, error_uri: given } };
}

async function seed(source: string): Promise<string> {
  const refreshToken = await stack.idp.issueRefreshToken({ clientId: CLIENT_ID, scope: CONSENT });
  refreshTokens.push(refreshToken);
  const { code, out, err } = await tokenctl(stack, ['refresh-token', 'set', source, '--json'], refreshToken);
  expect(code).toBe(0);
  seen.note(`tokenctl refresh-token set ${source}`, out + err);
  return refreshToken;
}

/** Sends canaries through all that can happen to what grants are made of. */
async function drive(): Promise<void> {
  const operator = await stack.operator();
  const client = await stack.client('orders');
  // A line of refresh tokens: spent, spent again after a revocation, replayed by a thief, refused, seeded again, refused as spent.
  const first = await seed('mailbox');
  await client.source('mailbox').get();
  seen.note('revoke', await operator.revoke({ selector: { source: 'mailbox' }, atProvider: true, reason: 'a test' }));
  await client.source('mailbox').get();
  seen.note('a status', await operator.status());
  await spendDirectly(stack.idp, first);
  seen.note('revoke', await operator.revoke({ selector: { source: 'mailbox' }, reason: 'a test' }));
  await seen.noteRefusal('a replayed family', client.source('mailbox').get());
  seen.note('a status', await operator.status());
  await seen.noteRefusal('a spent seed', operator.setRefreshToken({ source: 'mailbox', refreshToken: first }));
  await seed('mailbox');
  await client.source('mailbox').get();
  // Tokens of callers: taken, refused, expired, of somebody else, as actors.
  const subjectToken = await personsToken(stack.idp, ORDERS, 'alice');
  const actorToken = await ownToken(stack.idp, ORDERS);
  const forged = `${subjectToken.slice(0, -6)}forged`;
  subjectTokens.push(subjectToken, actorToken, forged);
  const acted = client.source('exchanged', { subjectToken, actorToken });
  seen.note('a token that is printed', await acted.get());
  seen.note('a handle that is printed', inspect(acted, { depth: 9, showHidden: true }));
  await seen.noteRefusal('a forged subject', client.source('exchanged', { subjectToken: forged }).get());
  const billing = await stack.client('billing');
  await seen.noteRefusal('a foreign subject', billing.source('exchanged', { subjectToken }).get());
  await client.source('asserted').get();
  // A provider that repeats what it was sent.
  for (const source of ['echo-refresh', 'echo-bound']) {
    await seed(source);
    await seen.noteRefusal(source, client.source(source).get());
  }
  await seen.noteRefusal('a spent successor', client.source('echo-bound', { scope: 'payments:read' }).get());
  await seen.noteRefusal('echo-exchange', client.source('echo-exchange', { subjectToken, actorToken }).get());
  await seen.noteRefusal('echo-asserted', client.source('echo-asserted').get());
  seen.note('reload', await operator.reload());
  seen.note('list', await operator.list());
  seen.note('a status', await operator.status());
  seen.note('the statistics of a client', client.stats());
  // What was made on the way, and is as good as what it was made of while it lives.
  refreshTokens.push(...stack.idp.requests().flatMap(({ form }) => form.get('refresh_token') ?? []), SUCCESSOR);
}

function assertions(): string[] {
  const forms = [
    ...stack.idp.requests().map(({ form }) => Object.fromEntries(form)),
    ...echo.requests.map(({ form }) => form),
  ];
  return forms.flatMap(({ assertion, client_assertion: ofClient }) => [assertion ?? [], ofClient ?? []].flat());
}

/** What belongs nowhere but into the broker's memory and the request to the provider. */
function secrets(): Readonly<Record<string, readonly string[]>> {
  const keyLines = key.pem.split('\n').filter((line) => line.length > 40);
  return {
    'refresh tokens': [...new Set(refreshTokens)],
    'subject and actor tokens': subjectTokens,
    'private keys': [key.secretPart, ...keyLines],
    assertions: assertions(),
  };
}

it('K11: keeps the successor that comes with a reply which is of no other use, and spends it next', () => {
  const spent = echo.requests.filter(({ form }) => form['echo'] === 'bound').map(({ form }) => form['refresh_token']);
  expect(spent.slice(1)).toEqual([SUCCESSOR]);
});

describe('the search itself', () => {
  it('has what it looks for, and finds it where it belongs: in what operators and callers send', () => {
    const {
      'refresh tokens': refresh = [],
      'subject and actor tokens': subject = [],
      assertions: signed = [],
    } = secrets();
    // Four seeds, the successors that were spent, and the one of the refused reply.
    expect(refresh.length).toBeGreaterThanOrEqual(6);
    expect(signed.length).toBeGreaterThanOrEqual(3);
    const kindsWith = (searched: readonly string[]): Set<string> =>
      new Set(leaks(seen.messages, searched).map((text) => text.split(/[.:]/).slice(2, 5).join('.')));
    expect(kindsWith(refresh)).toEqual(new Set(['admin.ops.refresh-token']));
    const asked = ['orders.exchanged', 'billing.exchanged', 'orders.echo-exchange'];
    expect(kindsWith(subject)).toEqual(new Set(asked.map((route) => `get.${route}`)));
  });
});

describe.each(['refresh tokens', 'subject and actor tokens', 'private keys', 'assertions'])('S4 G8: %s', (what) => {
  /** A request in which an operator or a caller gives one away on purpose. */
  const isGiven = ({ where }: Seen): boolean =>
    (what === 'refresh tokens' && where === 'token-broker.v1.admin.ops.refresh-token') ||
    (what === 'subject and actor tokens' && where.startsWith('token-broker.v1.get.'));

  const searched = (): readonly string[] => secrets()[what] ?? [];

  it('S4: in no message on NATS but the request that gives it: no event, no reply, nothing between brokers', () => {
    const others = seen.messages.filter((message) => !isGiven(message));
    const kinds = new Set(others.map(({ where }) => where.split('.').slice(0, 3).join('.')));
    for (const kind of ['event', 'invalidation', 'heartbeat', 'flight'])
      expect([...kinds]).toContain(`token-broker.v1.${kind}`);
    expect(leaks(others, searched())).toEqual([]);
  });

  it('S4: in Redis, in no value and no name', async () => {
    const dump = await dumpRedis(redis);
    expect(dump.some(({ where }) => where.includes(':journal:mailbox'))).toBe(true);
    expect(dump.some(({ where }) => where.includes(':record:'))).toBe(true);
    expect(leaks(dump, searched())).toEqual([]);
  });

  it('S4: in no line of the log, at the level debug', () => {
    expect(stack.logLines.some((line) => line.includes('"refresh-token.refused"'))).toBe(true);
    expect(stack.logLines.some((line) => line.includes('<redacted>'))).toBe(true);
    expect(stack.logLines.filter((line) => line.includes('"subject-token.refused"')).length).toBeGreaterThanOrEqual(2);
    expect(leaks(seen.logLines, searched())).toEqual([]);
  });

  it('S4: in no error, no answer to an operator, nothing that is printed, and no HTTP page', async () => {
    const places = [...seen.answers, ...(await seen.httpPages())];
    for (const where of ['a forged subject', 'echo-refresh', 'echo-exchange', 'a handle that is printed', '/metrics'])
      expect(places.map((place) => place.where)).toContain(where);
    expect(leaks(places, searched())).toEqual([]);
  });
});
