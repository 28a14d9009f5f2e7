import { eventually } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from '../../integration/asking.js';
import { sourceSettings, startStack, type Stack } from '../../integration/stack.js';
import { machineMs } from './machine-time.js';
import { startService, type ServiceProcess, type Use } from './service-process.js';

const TEN_MINUTES_MS = 600_000;
const LIFE_MS = 4_000;
const LONG_LIFE_MS = 3_600_000;
/** The stack's `cluster.minLifetime`: a token is handed out for this much less than its life. */
const MIN_LIFETIME_MS = 1_000;
/**
 * A near cache asks once when it has no token, and in the last tenth of the usable life a few times more, each pause half of
 * what is left. A storm would be one request for each of the 50 uses a second.
 */
const MOST_REQUESTS_PER_LIFE = 4;
/** A clock that jumps ages what is held and what was heard: the token is asked for again, once, and once more in a race. */
const MOST_REQUESTS_PER_JUMP = 2;
/** How long a service is watched after its clock has jumped: several of the stack's staleness bounds of 5 s would fit no test. */
const WATCHED_AFTER_JUMP_MS = 2_500;
/** Six processes start at once: on a loaded machine that takes longer than all the rest. */
const LIMIT_MS = 60_000;

let stack: Stack;
/** When each token was made, on the machine's clock: its life begins no earlier. */
const madeAtMs = new Map<string, number>();
/** The first token of all is the one of an hour. */
let lifeSeconds = LONG_LIFE_MS / 1000;

beforeAll(async () => {
  stack = await startStack({
    brokers: 2,
    tokenLifeSeconds: () => lifeSeconds,
    tokenTransform: (accessToken) => {
      madeAtMs.set(accessToken, machineMs());
      return accessToken;
    },
    configure: (settings, idp) => ({
      ...settings,
      // Nothing is renewed ahead: a near cache that believes its clock has nothing else to go by.
      sources: Object.fromEntries(
        ['long', 'behind', 'ahead', 'stopped', 'suspended'].map((tenant) => [
          tenant,
          sourceSettings(idp, { parameters: { tenant }, refresh: { ahead: 'off' } }),
        ]),
      ),
      callers: { ops: { sources: ['*'], admin: true } },
    }),
  });
  await ask(await stack.connectAs('ops'), 'ops', 'long');
  lifeSeconds = LIFE_MS / 1000;
});
afterAll(() => stack.stop());

const callsFor = (tenant: string): number =>
  stack.idp.requests().filter(({ form }) => form.get('tenant') === tenant).length;

function expiryMs({ accessToken }: Use, lifeMs: number): number {
  const madeMs = madeAtMs.get(accessToken);
  if (madeMs === undefined) throw new Error('a token that the identity provider has not made');
  return madeMs + lifeMs;
}

function usesBeyondExpiry(service: ServiceProcess, lifeMs: number): Use[] {
  return service.uses().filter((use) => use.beganAtMs >= expiryMs(use, lifeMs));
}

function tokensOf(service: ServiceProcess): number {
  return new Set(service.uses().map(({ accessToken }) => accessToken)).size;
}

function lastUse(service: ServiceProcess): Use {
  const use = service.uses().at(-1);
  if (use === undefined) throw new Error('the service has used no token');
  return use;
}

/** Makes the service's wall clock jump, and resolves with the last use before it. */
async function jump(service: ServiceProcess): Promise<Use> {
  service.program.signal('SIGUSR2');
  await service.program.waitForLine(/"jumped"/);
  const lines = service.lines();
  const before = lines.slice(
    0,
    lines.findIndex(({ kind }) => kind === 'jumped'),
  );
  const use = before.findLast((line) => line.kind === 'used');
  if (use === undefined) throw new Error('the service had used no token');
  return use;
}

async function hasUsedUntil(service: ServiceProcess, untilMs: number): Promise<void> {
  await eventually(() => lastUse(service).beganAtMs >= untilMs, { what: 'the service to go on', withinMs: 15_000 });
}

const refusalsOf = (service: ServiceProcess) => service.lines().filter(({ kind }) => kind === 'refused');

describe.concurrent('F31: the wall clock of a client', { timeout: LIMIT_MS }, () => {
  it.each([
    ['on', TEN_MINUTES_MS],
    ['back', -TEN_MINUTES_MS],
  ])(
    'F31: jumps %s by 10 minutes while it holds a token of an hour: no storm of requests, no call',
    async (_, jumpMs) => {
      const service = await startService(stack, 'long', { jumpMs });
      const before = await jump(service);
      await hasUsedUntil(service, before.beganAtMs + WATCHED_AFTER_JUMP_MS);
      const after = lastUse(service);
      expect(after.requests - before.requests).toBeLessThanOrEqual(MOST_REQUESTS_PER_JUMP);
      expect(after.accessToken).toBe(before.accessToken);
      expect(callsFor('long')).toBe(1);
      expect(refusalsOf(service)).toEqual([]);
      await service.program.stop();
    },
  );

  it.each([
    ['behind', -TEN_MINUTES_MS],
    ['ahead', TEN_MINUTES_MS],
  ])(
    'F31: is 10 minutes %s from the start, and jumps by as much again: nothing is used beyond its true expiry',
    async (source, offByMs) => {
      const service = await startService(stack, source, { offByMs, jumpMs: offByMs });
      await jump(service);
      await eventually(() => tokensOf(service) >= 3, { what: 'a third token', withinMs: 6 * LIFE_MS });
      const uses = service.uses();
      expect(usesBeyondExpiry(service, LIFE_MS)).toEqual([]);
      // What it believes of its token's life is never more than the truth.
      for (const use of uses) expect(use.beganAtMs + use.expiresInMs).toBeLessThanOrEqual(expiryMs(use, LIFE_MS) + 100);
      // Nor is a token left before its time: one call for each usable life, and few requests.
      const lives = ((uses.at(-1)?.beganAtMs ?? 0) - (uses[0]?.beganAtMs ?? 0)) / (LIFE_MS - MIN_LIFETIME_MS);
      expect(callsFor(source)).toBeLessThanOrEqual(Math.ceil(lives) + 1);
      expect(lastUse(service).requests).toBeLessThanOrEqual(
        MOST_REQUESTS_PER_LIFE * tokensOf(service) + MOST_REQUESTS_PER_JUMP,
      );
      expect(refusalsOf(service)).toEqual([]);
      await service.program.stop();
    },
  );
});

describe.concurrent('F33: a client that was suspended beyond the expiry of its token', { timeout: LIMIT_MS }, () => {
  it('F33: fetches first, after SIGSTOP and SIGCONT', async () => {
    const service = await startService(stack, 'stopped');
    service.program.signal('SIGSTOP');
    const held = lastUse(service);
    const expiresAtMs = expiryMs(held, LIFE_MS);
    await eventually(() => machineMs() > expiresAtMs, { what: 'the token to expire', withinMs: 2 * LIFE_MS });
    const resumedAtMs = machineMs();
    service.program.signal('SIGCONT');
    await hasUsedUntil(service, resumedAtMs);
    const next = service.uses().find(({ beganAtMs }) => beganAtMs >= resumedAtMs);
    expect(next?.generation).toBeGreaterThan(held.generation);
    expect(next?.requests).toBeGreaterThan(held.requests);
    expect(usesBeyondExpiry(service, LIFE_MS)).toEqual([]);
    await service.program.stop();
  });

  it('F33: fetches first where only the wall clock has gone on, as after the suspension of a machine', async () => {
    const service = await startService(stack, 'suspended', { jumpMs: LIFE_MS });
    const held = await jump(service);
    await eventually(() => service.lines().at(-1)?.kind === 'used', { what: 'the next use' });
    const lines = service.lines();
    const next = lines.slice(lines.findIndex(({ kind }) => kind === 'jumped')).find((line) => line.kind === 'used');
    // No broker was suspended with it, so that what it is given may well be the same token; but it has asked.
    expect(next?.requests).toBeGreaterThan(held.requests);
    expect(refusalsOf(service)).toEqual([]);
    await service.program.stop();
  });
});
