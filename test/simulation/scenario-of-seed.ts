import { SeededRandom } from '@token-broker/testing';
import { KINDS, type FaultGroup } from './faults/catalogue.js';
import { POINTS } from './faults/points.js';
import type { Entry, Scenario, Shape, Trigger } from './scenario.js';

export interface ScenarioOptions {
  /** Only faults of these groups. Default: all. */
  readonly groups?: ReadonlySet<FaultGroup>;
}

const TROUBLE_MS = 25_000;

/**
 * Swarm testing: each seed draws a world, a handful of kinds of fault out of all, and how often they strike. Half of the
 * strikes are aimed at a point of the protocol, since a moment that is drawn at random is hardly ever the wrong one.
 */
export function scenarioOf(seed: number, options: ScenarioOptions = {}): Scenario {
  const random = new SeededRandom(seed);
  const shape = shapeOf(random);
  const kinds = KINDS.filter(
    ({ group, needs }) =>
      group !== 'operation' && (options.groups?.has(group) ?? true) && (needs === undefined || needs(shape)),
  );
  const chance = pick(random, [0.08, 0.15, 0.3]);
  const chosen = kinds.filter(() => random.uniform() < chance);
  const entries: Entry[] = [];
  const strikes = chosen.length === 0 ? 0 : 1 + random.integer(pick(random, [3, 8, 14]));
  for (let i = 0; i < strikes; i++) entries.push(entryOf(random, pick(random, chosen).name));
  const operations = KINDS.filter(({ group }) => group === 'operation');
  for (let i = 1 + random.integer(6); i > 0; i--) entries.push(entryOf(random, pick(random, operations).name));
  return { seed, shape, entries, troubleUntilMs: TROUBLE_MS };
}

function shapeOf(random: SeededRandom): Shape {
  const tokenLifeMs = pick(random, [12_000, 20_000, 40_000, 600_000]);
  const timeoutMs = pick(random, [1_500, 3_000]);
  return {
    brokers: pick(random, [2, 2, 3, 4]),
    clients: pick(random, [1, 2, 3]),
    partitions: pick(random, [1, 2, 3]),
    sources: pick(random, [1, 2]),
    audiences: pick(random, [1, 2]),
    tokenLifeMs,
    minLifetimeMs: Math.min(2_000, tokenLifeMs / 10),
    maxStalenessMs: pick(random, [5_000, 8_000, 15_000]),
    timeoutMs,
    lockTimeMs: timeoutMs + 500,
    requestTimeoutMs: pick(random, [4_000, 10_000]),
    redisLatencyMs: pick(random, [0.2, 1, 5]),
    natsLatencyMs: pick(random, [0.2, 1, 10]),
    idpLatencyMs: pick(random, [20, 200, 800]),
    drift: pick(random, [0, 0.0005]),
    isReplicated: random.uniform() < 0.6,
    keepWarm: random.uniform() < 0.3,
    idpCaches: random.uniform() < 0.1,
    askEveryMs: pick(random, [150, 400, 1_200]),
  };
}

function entryOf(random: SeededRandom, kind: string): Entry {
  const trigger: Trigger =
    random.uniform() < 0.5
      ? { atMs: 500 + random.integer(TROUBLE_MS - 1_000) }
      : { point: pick(random, POINTS), nth: 1 + Math.floor(30 * random.uniform() ** 3) };
  const forMs = pick(random, [50, 400, 1_500, 4_000, 9_000]) * (0.5 + random.uniform());
  return { kind, trigger, target: random.integer(1_000), forMs, size: random.uniform() };
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  const chosen = from[random.integer(from.length)];
  if (chosen === undefined) throw new RangeError('there is nothing to choose from');
  return chosen;
}
