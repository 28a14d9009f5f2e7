import { createSystemClock } from '@token-broker/foundation';
import { eventually, type IdentityProviderOptions } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterEach, expect, it, vi } from 'vitest';
import { ask } from '../../integration/asking.js';
import { CLIENT_ID, startStack, type Settings, type Stack } from '../../integration/stack.js';
import { tokenctl } from '../../integration/tokenctl.js';
import { answersTo, coldClients, slowestMs, timedGet, tokensOf } from './callers.js';
import {
  holderAmong,
  IDP_TIMEOUT_MS,
  LOCK_MS,
  patientWithRedis,
  shortCalls,
  SLACK_MS,
  startReplicas,
  stopReplicas,
  WAITER_LOOKS_EVERY_MS,
  type Replica,
} from './replicas.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const SOURCE = 'payments-api';
const CONSENT = 'openid offline_access payments:read payments:write';
/** Whoever finds that the time of a foreign intent is over calls for its owner, and waits so long before it takes over. */
const OWNER_CALLED_FOR_MS = 1_000;
/** The intent must run out; then a waiter looks and calls for the owner, and looks again when that was in vain. */
const TAKEN_OVER_WITHIN_MS = LOCK_MS + WAITER_LOOKS_EVERY_MS + OWNER_CALLED_FOR_MS + WAITER_LOOKS_EVERY_MS + SLACK_MS;
/** What was asked of a replica that died is asked again after this time. */
const RESEND_AFTER_MS = 3_000;
const REQUEST_TIMEOUT_MS = 15_000;
const DEATH = 'at-token-reply:kill';

const clock = createSystemClock();
let stack: Stack;
let replicas: Replica[] = [];

afterEach(async () => {
  await stopReplicas(replicas.splice(0));
  await stack.stop();
});

/** Servers, replicas, and a refresh token that an operator has put there. */
async function start(
  identity: Pick<IdentityProviderOptions, 'refreshGraceMs'>,
  fault?: string,
  count = 2,
): Promise<void> {
  stack = await startStack({ brokers: 0, identity, configure: withRefreshTokens });
  replicas = await startReplicas(stack, count, fault);
  const refreshToken = await stack.idp.issueRefreshToken({ clientId: CLIENT_ID, scope: CONSENT });
  await (await stack.operator()).setRefreshToken({ source: SOURCE, refreshToken });
}

function withRefreshTokens(settings: Settings, idp: Stack['idp']): Settings {
  return {
    ...settings,
    redis: patientWithRedis(settings),
    sources: { [SOURCE]: shortCalls(idp, { grant: 'refresh_token' }) },
    callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
  };
}

/** One caller asks, and the identity provider does not answer: the replica that is now in the middle of the call. */
async function holderInTheAir(): Promise<{ holder: Replica; others: Replica[]; first: Promise<string> }> {
  stack.idp.setHanging(true);
  const connection = await stack.connectAs('orders');
  const first = ask(connection, 'orders', SOURCE).then(({ accessToken }) => accessToken);
  first.catch(() => undefined);
  await eventually(() => stack.idpCalls() === 1, { what: 'the call to be under way' });
  const holder = await holderAmong(replicas);
  return { holder, others: replicas.filter((replica) => replica !== holder), first };
}

/** The provider has spent the refresh token and answered; the holder dies before the journal has the successor. */
async function holderDiesWithSuccessor(): Promise<Replica[]> {
  const { holder, others } = await holderInTheAir();
  await holder.arm();
  stack.idp.setHanging(false);
  expect((await holder.program.exited).signal).toBe('SIGKILL');
  expect(stack.idp.refreshTokens()).toMatchObject({ used: 1, replayed: 0 });
  return others;
}

async function refreshToken(): Promise<unknown> {
  const { sources } = await (await stack.operator()).status();
  return sources.find(({ name }) => name === SOURCE)?.refreshToken;
}

/** What the journal itself says: an operator's question might go to a replica that is stopped. */
async function rotations(): Promise<number> {
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  try {
    const keys = await redis.keys(`*journal:${SOURCE}*`);
    const journal = keys.find((key) => !key.endsWith(':seeds'));
    return journal === undefined ? 0 : Number(await redis.hget(journal, 'sequence'));
  } finally {
    redis.disconnect();
  }
}

/** One more spend: whether the family goes on. */
async function refetch(): Promise<void> {
  await (await stack.operator()).revoke({ selector: { source: SOURCE }, reason: 'a test' });
  await ask(await stack.connectAs('orders'), 'orders', SOURCE);
}

it('F5: a kill between the reply with the successor and the journal, with a grace period: another replica recovers, and the family goes on', async () => {
  await start({ refreshGraceMs: 60_000 }, DEATH);
  const clients = await coldClients(stack, 20, REQUEST_TIMEOUT_MS);
  await holderDiesWithSuccessor();
  const ended = await Promise.all(clients.map((client) => timedGet(client, SOURCE)));
  expect(tokensOf(ended)).toHaveLength(1);
  expect(slowestMs(ended)).toBeLessThan(TAKEN_OVER_WITHIN_MS + RESEND_AFTER_MS);
  expect(stack.idp.refreshTokens()).toEqual({ used: 2, forgiven: 1, replayed: 0, familiesRevoked: 0 });
  expect(await refreshToken()).toMatchObject({ state: 'ready', sequence: 1 });
  await refetch();
  expect(stack.idp.refreshTokens()).toEqual({ used: 3, forgiven: 1, replayed: 0, familiesRevoked: 0 });
});

it('F6: the same without a grace period: REAUTH_REQUIRED, one call and never another, until an operator puts a refresh token there', async () => {
  /** Callers that insist: each of them would be one more call, if a broker tried again. */
  const INSISTENT = 100;
  /** The next request of a client, without any pause to wait for: a call of the provider, and what a loaded machine adds. */
  const WORKS_AGAIN_WITHIN_MS = IDP_TIMEOUT_MS;
  await start({}, DEATH, 3);
  const clients = await coldClients(stack, 20, REQUEST_TIMEOUT_MS);
  const others = await holderDiesWithSuccessor();
  const ended = await Promise.all(clients.map((client) => timedGet(client, SOURCE)));
  for (const { error } of ended) expect(error).toMatchObject({ code: 'REAUTH_REQUIRED' });
  expect(slowestMs(ended)).toBeLessThan(TAKEN_OVER_WITHIN_MS + RESEND_AFTER_MS);
  expect(stack.idpCalls()).toBe(2);
  expect(stack.idp.refreshTokens()).toEqual({ used: 1, forgiven: 0, replayed: 1, familiesRevoked: 1 });

  // Nor does a replica that knows nothing try it.
  replicas.push(...(await startReplicas(stack, 1)));
  const connection = await stack.connectAs('orders');
  for (const answer of await answersTo(connection, SOURCE, INSISTENT)) expect(answer).toContain('REAUTH_REQUIRED');
  expect(stack.idpCalls()).toBe(2);
  const said = others
    .flatMap(({ program }) => program.stdout)
    .filter((line) => line.includes('"refresh-token.refused"'));
  expect(said).toHaveLength(1);
  expect((await tokenctl(stack, ['status'])).out).toMatch(
    new RegExp(`^REAUTH_REQUIRED ${SOURCE}: the identity provider refuses its refresh token`, 'm'),
  );

  const next = await stack.idp.issueRefreshToken({ clientId: CLIENT_ID, scope: CONSENT });
  expect(await tokenctl(stack, ['refresh-token', 'set', SOURCE], `${next}\n`)).toMatchObject({ code: 0 });
  const again = await Promise.all(clients.map((client) => timedGet(client, SOURCE)));
  expect(tokensOf(again)).toHaveLength(1);
  expect(slowestMs(again)).toBeLessThan(WORKS_AGAIN_WITHIN_MS);
  expect(stack.idpCalls()).toBe(3);
  expect(stack.idp.refreshTokens()).toMatchObject({ used: 2, replayed: 1, familiesRevoked: 1 });
});

it('K9 F2: SIGKILL of the holder before the provider has spent the refresh token: another spends it, once', async () => {
  await start({});
  const clients = await coldClients(stack, 20, REQUEST_TIMEOUT_MS);
  const { holder } = await holderInTheAir();
  const waiting = Promise.all(clients.map((client) => timedGet(client, SOURCE)));
  await holder.kill();
  stack.idp.setHanging(false);
  const ended = await waiting;
  expect(tokensOf(ended)).toHaveLength(1);
  expect(slowestMs(ended)).toBeLessThan(TAKEN_OVER_WITHIN_MS + RESEND_AFTER_MS);
  expect(stack.idp.refreshTokens()).toEqual({ used: 1, forgiven: 0, replayed: 0, familiesRevoked: 0 });
  expect(await refreshToken()).toMatchObject({ state: 'ready', sequence: 1 });
});

it('K9 F3: SIGSTOP of the holder between the reply and the journal, until another has taken over: the late successor overwrites nothing', async () => {
  await start({ refreshGraceMs: 60_000 }, 'at-token-reply:stop');
  const { holder, first } = await holderInTheAir();
  await holder.arm();
  stack.idp.setHanging(false);
  await holder.halted();
  const haltedAtMs = clock.elapsedMs();
  const connection = await stack.connectAs('orders');
  const asked = answersTo(connection, SOURCE, 20);
  await eventually(() => stack.idp.refreshTokens().used === 2, {
    what: 'another replica to take over',
    withinMs: TAKEN_OVER_WITHIN_MS,
  });
  expect(clock.elapsedMs() - haltedAtMs).toBeLessThan(TAKEN_OVER_WITHIN_MS);
  await eventually(async () => (await rotations()) === 1, { what: 'the journal to have the winner’s successor' });
  holder.wake();
  await holder.program.waitForLine(/a successor came too late, and was dropped/);
  const answers = await asked;
  expect(new Set(answers)).toEqual(new Set([await first]));
  expect(await refreshToken()).toMatchObject({ state: 'ready', sequence: 1 });
  await refetch();
  expect(stack.idp.refreshTokens()).toEqual({ used: 3, forgiven: 1, replayed: 0, familiesRevoked: 0 });
  expect(await refreshToken()).toMatchObject({ state: 'ready', sequence: 2 });
});
