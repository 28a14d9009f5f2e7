import { passwordOf, type SourceHandle } from '@token-broker/client';
import { createSystemClock, delay } from '@token-broker/foundation';
import { eventually, startPasswordDatabase, type PasswordDatabase } from '@token-broker/testing';
import {
  explainRdsPassword,
  startSecurityTokenService,
  STS_REGION,
  STS_USER,
  type SecurityTokenService,
} from '@token-broker/testing/aws';
import { Client, Pool, type ClientConfig } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startStack, type Settings, type Stack } from './stack.js';

const clock = createSystemClock();

let sts: SecurityTokenService;
let database: PasswordDatabase;
/** By how much the clock of the database is ahead. */
let aheadMs = 0;
let stack: Stack;
let handle: SourceHandle;

beforeAll(async () => {
  sts = await startSecurityTokenService();
  database = await startPasswordDatabase((password, user) => {
    const { host, port } = database;
    const known = { host: `${host}:${String(port)}`, region: STS_REGION, keys: sts.keys };
    return explainRdsPassword(password, user, known, clock.wallMs() + aheadMs);
  });
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      sources: {
        base: {
          provider: 'aws-sts',
          region: STS_REGION,
          endpoint: sts.url,
          allowInsecureHttp: true,
          roleArn: 'arn:aws:iam::123456789012:role/orders-db',
          credentials: STS_USER,
        },
        'orders-db': databaseSource('orders'),
      },
      callers: { orders: { sources: ['orders-db'] }, ops: { sources: ['*'], admin: true } },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await database.stop();
  await sts.stop();
});

function databaseSource(user: string): Settings {
  const { host, port } = database;
  return { provider: 'aws-rds-iam', host, port, user, region: STS_REGION, credentials: { source: 'base' } };
}

beforeEach(async () => {
  aheadMs = 0;
  handle = (await stack.client('orders')).source('orders-db');
});

async function openPool(): Promise<Pool> {
  const { username } = await handle.get();
  const { host, port } = database;
  const pool = new Pool({ host, port, user: username, password: passwordOf(handle) });
  pool.on('error', () => undefined);
  return pool;
}

async function poolOfTest(): Promise<Pool> {
  const pool = await openPool();
  onTestFinished(async () => {
    if (!pool.ended) await pool.end();
  });
  return pool;
}

async function userOf(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ user: string }>('select current_user');
  return rows[0]?.user ?? '';
}

/** Opens one connection, asks who it is, and closes it. */
async function connect(change: ClientConfig = {}): Promise<string> {
  const { host, port } = database;
  const client = new Client({ host, port, user: 'orders', password: passwordOf(handle), ...change });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ user: string }>('select current_user');
    return rows[0]?.user ?? '';
  } finally {
    await client.end();
  }
}

const refusals = (): (string | undefined)[] => database.logins.map(({ refusal }) => refusal).filter(Boolean);
const keyOf = (password: string): string | undefined =>
  new URL(`https://${password}`).searchParams.get('X-Amz-Credential')?.split('/')[0];

describe('the driver `pg` with the password function of the client', () => {
  it('opens connections that the database lets in, by one fetch for all', async () => {
    const pool = await poolOfTest();
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
    expect(database.users()).toEqual(['orders', 'orders', 'orders', 'orders']);
    for (const client of clients) client.release();
    expect(await userOf(pool)).toBe('orders');
    expect(new Set(database.logins.map(({ password }) => password)).size).toBe(1);
    expect(sts.asked.map((fields) => fields['Action'])).toEqual(['AssumeRole']);
  });

  it('opens the next connection with the password that counts then; one that is open stays open', async () => {
    const pool = await poolOfTest();
    const client = await pool.connect();
    const before = database.logins.at(-1)?.password;
    const operator = await stack.operator();
    for (const source of ['base', 'orders-db']) await operator.revoke({ selector: { source }, reason: 'test' });
    await eventually(() => handle.current?.accessToken !== before, { what: 'the near cache to drop the password' });
    expect(await connect()).toBe('orders');
    const after = database.logins.at(-1)?.password ?? '';
    expect(after).not.toBe(before);
    expect(keyOf(after)).not.toBe(keyOf(before ?? ''));
    expect((await client.query<{ user: string }>('select current_user')).rows).toEqual([{ user: 'orders' }]);
    client.release();
  });

  it('is told 28P01 where the password is wrong, another user’s, too old, or signed with what has ended', async () => {
    const { accessToken } = await handle.get();
    const refused = { code: '28P01', severity: 'FATAL' };
    const last = (): string | undefined => database.logins.at(-1)?.refusal;
    await expect(connect({ password: `${accessToken}0` })).rejects.toMatchObject(refused);
    expect(last()).toBe('its signature is wrong');
    await expect(connect({ password: accessToken.replace('DBUser=orders', 'DBUser=admin') })).rejects.toMatchObject(
      refused,
    );
    await expect(connect({ user: 'admin', password: accessToken })).rejects.toMatchObject(refused);
    expect(last()).toBe('it is for orders');
    aheadMs = 15 * 60_000 + 1_000;
    await expect(connect()).rejects.toMatchObject(refused);
    expect(last()).toBe('it has ended');
    aheadMs = 0;
    const key = sts.keys.get(keyOf(accessToken) ?? '');
    if (key === undefined) throw new Error('the password is signed with no known key');
    sts.keys.set(key.accessKeyId, { ...key, endsAtMs: 1 });
    await expect(connect()).rejects.toMatchObject(refused);
    expect(last()).toBe('what it was signed with has ended');
    sts.keys.set(key.accessKeyId, key);
    expect(await connect()).toBe('orders');
  });

  it('does not send the password of one user where another opens the connection', async () => {
    const logins = database.logins.length;
    await expect(connect({ user: 'admin' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(database.logins).toHaveLength(logins);
  });
});

it('L3: a changed user name reaches the application, and its new connections are of the new user', async () => {
  let pool = await openPool();
  expect(await userOf(pool)).toBe('orders');
  const changed: string[] = [];
  const unsubscribe = handle.on('usernameChanged', ({ before, token }) => {
    changed.push(`${before ?? ''} -> ${token.username ?? ''}`);
    const drained = pool;
    void openPool().then((next) => {
      pool = next;
      return drained.end();
    });
  });
  const refused = refusals().length;
  await stack.changeSource('orders-db', { user: 'orders_green' });
  await eventually(() => handle.get(), { what: 'the password of the new user' });
  await eventually(async () => (await userOf(pool)) === 'orders_green', { what: 'connections of the new user' });
  await eventually(() => new Set(database.users()).size === 1, {
    what: 'the connections of the old user to be closed',
  });
  expect(database.users()).toEqual(['orders_green']);
  expect(changed).toEqual(['orders -> orders_green']);
  expect(refusals()).toHaveLength(refused);
  unsubscribe();
  await pool.end();
  await stack.changeSource('orders-db', { user: 'orders' });
});

it('no RDS password is older than the credential of its signer: none is refused while both are renewed', async () => {
  sts.will({ does: 'issue', lifeMs: 5_000 });
  const operator = await stack.operator();
  for (const source of ['base', 'orders-db']) await operator.revoke({ selector: { source }, reason: 'test' });
  const [logins, refused] = [database.logins.length, refusals().length];
  const signers = new Set<string | undefined>();
  /** How much longer than the password its signer's credential is good. */
  const leftAfterMs: number[] = [];
  while (signers.size < 3) {
    const { accessToken, expiresInMs } = await handle.get();
    const signer = keyOf(accessToken) ?? '';
    leftAfterMs.push((sts.keys.get(signer)?.endsAtMs ?? 0) - (clock.wallMs() + expiresInMs));
    signers.add(signer);
    expect(await connect()).toBe('orders');
    await delay(clock, 50);
  }
  expect(database.logins.length - logins).toBeGreaterThan(10);
  expect(refusals()).toHaveLength(refused);
  // Ends are stated in whole seconds: a password is never good for longer than that beyond its signer, and none is handed out in its last one.
  expect(Math.min(...leftAfterMs)).toBeGreaterThanOrEqual(0);
}, 60_000);

it('no password and no key of a signer is in a log', () => {
  const lines = stack.logLines.join('\n');
  for (const canary of ['X-Amz-Signature', 'canary/', 'canary//']) expect(lines).not.toContain(canary);
});
