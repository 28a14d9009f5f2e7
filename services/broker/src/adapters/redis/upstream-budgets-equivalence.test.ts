import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { fakeBudgetBed, type BudgetBed } from '../../app/fakes/budget-bed.js';
import { emptyBudget } from '../../app/fakes/fake-budget.js';
import type { FakeRedis } from '../../app/fakes/fake-redis.js';
import type { LimitCeilings, PermitRequest, SettleRequest } from '../../app/ports/upstream-budgets.js';
import { ceilingsFor, type CallClass, type Quota } from '../../domain/call-class.js';
import { realBudgetBedsOn } from './fakes/budget-beds.js';
import { redisOfFile } from './fakes/redis-of-file.js';

/** The last minute of a month. */
const START_MS = Date.UTC(2028, 1, 29, 23, 59, 0);
const CALLS = 40;
const CLASSES: readonly CallClass[] = ['waiting', 'waiting-refetch', 'refetch', 'refresh-ahead'];
const CREDENTIALS = ['c1', 'c2'] as const;

const sliding = (ms: number, limit: number, reserve: number): Quota => ({
  limit,
  reserve,
  window: { kind: 'sliding', ms },
});
const calendar = (period: 'day' | 'month', limit: number): Quota => ({
  limit,
  reserve: 2,
  window: { kind: 'calendar', period },
});
/** What replicas may have been told of one upstream. */
const QUOTAS: readonly (readonly Quota[])[] = [
  [],
  [sliding(10_000, 4, 1)],
  [sliding(1_000, 2, 0), sliding(60_000, 12, 4)],
  [calendar('day', 12), sliding(20_000, 5, 2)],
  [calendar('month', 20), calendar('day', 15)],
];
const WINDOWS: readonly Pick<LimitCeilings, 'window'>[] = QUOTAS.flat();

const redis = redisOfFile();
const realBed = realBudgetBedsOn(redis);

interface World extends BudgetBed {
  /** All that is counted: calls and their times, by kind; and counts of the calendar. */
  contents(): Promise<Record<string, Record<string, number>>>;
}

const KINDS = ['open', 'ended', 'common', 'reserve', 'calendar'] as const;

async function realWorld(): Promise<World> {
  const bed = await realBed(START_MS);
  const rows = async (kind: string): Promise<[string, number][]> => {
    const key = `{test:upstream:u1}:${kind}`;
    if (kind === 'calendar')
      return Object.entries(await redis.client.hgetall(key)).map(([name, value]) => [name, Number(value)]);
    const flat = await redis.client.zrange(key, '0', '-1', 'WITHSCORES');
    return flat.flatMap((name, i): [string, number][] => (i % 2 === 0 ? [[name, Number(flat[i + 1])]] : []));
  };
  return {
    ...bed,
    contents: async () =>
      Object.fromEntries(
        await Promise.all(KINDS.map(async (kind) => [kind, Object.fromEntries(await rows(kind))] as const)),
      ),
  };
}

function fakeWorld(): World {
  const bed: BudgetBed & { redis: FakeRedis } = fakeBudgetBed(new VirtualClock(START_MS));
  return {
    ...bed,
    contents: () => {
      const { calls, ended, accounts, calendar: counts } = bed.redis.budgets.get('u1') ?? emptyBudget();
      const open = new Map([...calls].map(([name, { untilMs }]) => [name, untilMs]));
      const maps = { open, ended, ...accounts, calendar: counts };
      return Promise.resolve(Object.fromEntries(KINDS.map((kind) => [kind, Object.fromEntries(maps[kind])])));
    },
  };
}

/** Random commands of replicas that need not have the same configuration. The same seed gives the same commands. */
async function tell(world: World, seed: number, length: number): Promise<string[]> {
  const random = new SeededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)] as T;
  const quotas = [pick(QUOTAS), pick(QUOTAS)];
  // Few calls that fail, or many: or nothing would ever be open, or closed again.
  const health = random.integer(3);
  const lines: string[] = [];
  const twice = async <T>(send: () => Promise<T>): Promise<T> => {
    const first = await send();
    if (random.integer(4) > 0) return first;
    const before = await world.contents();
    expect(await send()).toEqual(first);
    expect(await world.contents()).toEqual(before);
    return first;
  };
  for (let step = 0; step < length; step++) {
    const upstream = 'u1';
    const credential = pick(CREDENTIALS);
    const call = `call ${String(Math.max(0, Math.floor(step / 4) - random.integer(CALLS / 5)))}`;
    const limits = pick(quotas);
    switch (pick(['permit', 'permit', 'permit', 'settle', 'settle', 'settle', 'pass', 'pass', 'disaster'])) {
      case 'permit': {
        const ceilings = ceilingsFor(limits, pick(CLASSES));
        const callMs = pick([0, 800, 5_000, 5_000, 30_000, 90_000]);
        const request: PermitRequest = { upstream, credential, call, callMs, ...ceilings };
        const reply = await twice(() => world.budgets.permit(request));
        lines.push(`permit ${call} ${JSON.stringify(reply)}`);
        break;
      }
      case 'settle': {
        const request: SettleRequest = {
          ...{ upstream, credential, call, limits: ceilingsFor(limits, 'waiting').limits },
          outcome: outcomeOf(health, random),
          uniform: random.uniform(),
          ...(random.integer(6) === 0
            ? { observed: { remaining: random.integer(6), resetMs: pick([0, 999.5, 20_000]) } }
            : {}),
        };
        await twice(() => world.budgets.settle(request));
        lines.push(`settle ${call} ${request.outcome.kind}`);
        break;
      }
      case 'pass':
        // Now and then so long that everything is forgotten. In eighths of milliseconds, whose sums are exact.
        await world.pass(random.integer(40) === 0 ? 1_300_000 : random.integer(8 * pick([1, 100, 3_000, 20_000])) / 8);
        break;
      case 'disaster':
        if (random.integer(15) > 0) break;
        await world.lose();
        lines.push('everything is lost');
        break;
    }
    lines.push(JSON.stringify(await world.budgets.state(upstream, credential, WINDOWS)));
  }
  lines.push(...Object.entries(await world.contents()).map(([kind, of]) => `${kind} ${JSON.stringify(sorted(of))}`));
  return lines;
}

function sorted(of: Record<string, number>): [string, number][] {
  return Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @param health 0: most calls are answered, 1: most fail, 2: most are refused */
function outcomeOf(health: number, random: SeededRandom): SettleRequest['outcome'] {
  const pauseMs = [0, 0, 0.5, 1_500, 12_000][random.integer(5)] ?? 0;
  const told = { code: 'IDP_UNAVAILABLE', message: `message ${String(random.integer(9))}` } as const;
  const outcomes = [
    { kind: 'answered' },
    { kind: 'unavailable', pauseMs: random.integer(4) === 0 ? pauseMs : 0, ...told },
    { kind: 'credential-refused', ...told },
    { kind: 'not-made' },
    { kind: 'throttled', pauseMs, message: told.message },
  ] as const;
  const usual = outcomes[health];
  return usual !== undefined && random.integer(4) > 0 ? usual : (outcomes[random.integer(5)] ?? outcomes[0]);
}

it('the fake budgets answer random commands as Redis does, and leave the same behind', async () => {
  const untold = new Set(
    '"go" "limit" "paused" "breaker" "credential" "open" "half-open" ended message quota'.split(' '),
  );
  for (let run = 0; run < 30 || untold.size > 0; run++) {
    expect(run, `what never happened: ${[...untold].join(', ')}`).toBeLessThan(150);
    const { seed } = new SeededRandom();
    try {
      const real = await tell(await realWorld(), seed, 120);
      expect(await tell(fakeWorld(), seed, 120)).toEqual(real);
      const all = real.join('\n');
      for (const word of untold) if (all.includes(word)) untold.delete(word);
    } catch (error) {
      throw new Error(`seed ${String(seed)}`, { cause: error });
    }
  }
}, 60_000);
