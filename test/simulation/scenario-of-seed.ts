import { SeededRandom } from '@token-broker/testing';
import { KINDS, type FaultGroup } from './faults/catalogue.js';
import { pointsOf, type Point } from './faults/points.js';
import type { Entry, QuotaShape, Scenario, Shape, Trigger } from './scenario.js';
import type { RefreshTokenRules } from './world/refresh-token-families.js';

export interface ScenarioOptions {
  /** Only faults of these groups. Default: all. */
  readonly groups?: ReadonlySet<FaultGroup>;
}

const TROUBLE_MS = 20_000;
/** After this part of its life a token may be renewed. */
const SHORTEST_LIFE = 0.6;

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
  const points = pointsOf(shape);
  const chance = pick(random, [0.08, 0.15, 0.3]);
  const chosen = kinds.filter(({ isLikely }) => random.uniform() < (isLikely === true ? LIKELY : chance));
  const entries: Entry[] = [];
  const strikes = chosen.length === 0 ? 0 : 1 + random.integer(pick(random, [3, 8, 14]));
  for (let i = 0; i < strikes; i++) entries.push(entryOf(random, pick(random, chosen).name, points));
  const operations = KINDS.filter(({ group, needs }) => group === 'operation' && (needs?.(shape) ?? true));
  const everywhere = operations.filter(({ needs }) => needs === undefined);
  for (let i = 1 + random.integer(6); i > 0; i--) entries.push(entryOf(random, pick(random, everywhere).name, points));
  const here = operations.filter(({ needs }) => needs !== undefined);
  for (let i = here.length === 0 ? 0 : 1 + random.integer(2); i > 0; i--)
    entries.push(entryOf(random, pick(random, here).name, points));
  return { seed, shape, entries, troubleUntilMs: TROUBLE_MS };
}

/** How often a fault is drawn in the few worlds that can have it. */
const LIKELY = 0.5;
/** A few worlds have refresh tokens, and a few a quota: all others keep the rest of the protocol at work. */
const REFRESHED = 0.25;
const LIMITED = 0.2;

function shapeOf(random: SeededRandom): Shape {
  const tokenLifeMs = pick(random, [12_000, 20_000, 40_000, 600_000]);
  const timeoutMs = pick(random, [1_500, 3_000]);
  const shape = {
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
  const refreshTokens = random.uniform() < REFRESHED && !shape.idpCaches ? refreshTokensOf(random) : undefined;
  const quota = random.uniform() < LIMITED ? quotaOf(random, shape) : undefined;
  return { ...shape, refreshTokens, quota };
}

function refreshTokensOf(random: SeededRandom): RefreshTokenRules {
  return {
    graceMs: pick(random, [0, 0, 4_000, 60_000]),
    rotation: pick(random, ['always', 'always', 'sometimes'] as const),
    sources: pick(random, [1, 2]),
  };
}

/** Enough for what a calm world needs, and little more. */
function quotaOf(
  random: SeededRandom,
  { sources, audiences, tokenLifeMs }: Omit<Shape, 'refreshTokens' | 'quota'>,
): QuotaShape {
  const windowMs = pick(random, [5_000, 10_000, 20_000]);
  const needed = Math.ceil((sources * audiences * windowMs) / (SHORTEST_LIFE * tokenLifeMs));
  const reserve = pick(random, [0, 1, 2]);
  return { limit: Math.max(3, needed + 1) + reserve + random.integer(3), windowMs, reserve };
}

function entryOf(random: SeededRandom, kind: string, points: readonly Point[]): Entry {
  const trigger: Trigger =
    random.uniform() < 0.5
      ? { atMs: 500 + random.integer(TROUBLE_MS - 1_000) }
      : { point: pick(random, points), nth: 1 + Math.floor(30 * random.uniform() ** 3) };
  const forMs = pick(random, [50, 400, 1_500, 4_000, 9_000]) * (0.5 + random.uniform());
  return { kind, trigger, target: random.integer(1_000), forMs, size: random.uniform() };
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  const chosen = from[random.integer(from.length)];
  if (chosen === undefined) throw new RangeError('there is nothing to choose from');
  return chosen;
}
