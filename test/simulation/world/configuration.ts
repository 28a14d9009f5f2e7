import { configurationOf, sourceOf } from '@token-broker/broker/simulation';
import type { Configuration, SourceConfiguration } from '@token-broker/configuration';
import { partitionOf, slotOf } from '@token-broker/protocol';
import { TICK_MS, type Shape } from '../scenario.js';

export const CALLER = 'orders';
export const OPERATOR = 'ops';
/** Ends every command of Redis. */
export const COMMAND_TIMEOUT_MS = 1_000;

/** One slot of the world, as its callers ask for it. */
export interface WorldSlot {
  readonly slot: string;
  readonly partition: number;
  readonly source: string;
  /** The first slot of a source is the one without parameters. */
  readonly audience: string | undefined;
}

export function slotsOf(shape: Shape): WorldSlot[] {
  const slots: WorldSlot[] = [];
  for (let s = 0; s < shape.sources; s++)
    for (let a = 0; a < shape.audiences; a++) {
      const source = `source-${String(s)}`;
      const audience = a === 0 ? undefined : `audience-${String(a)}`;
      const slot = slotOf(source, audience === undefined ? {} : { audience });
      slots.push({ slot, partition: partitionOf(slot, shape.partitions), source, audience });
    }
  return slots;
}

/** The sources that need an operator to give them a refresh token. */
export function refreshedSources(shape: Shape): string[] {
  return Array.from({ length: shape.sources }, (_, s) => s).flatMap((s) =>
    isRefreshed(shape, s) ? [`source-${String(s)}`] : [],
  );
}

function isRefreshed({ refreshTokens }: Shape, source: number): boolean {
  return refreshTokens !== undefined && source < refreshTokens.sources;
}

/** All sources are the same client of the same provider: they share one budget. */
function quotaOf({ quota }: Shape): SourceConfiguration['quota'] {
  if (quota === undefined) return [];
  return [{ limit: quota.limit, window: { kind: 'sliding', ms: quota.windowMs }, reserve: quota.reserve }];
}

/** The configuration file of every broker. */
export function configurationFor(shape: Shape): Configuration {
  const sources = new Map<string, SourceConfiguration>();
  for (let s = 0; s < shape.sources; s++) {
    const name = `source-${String(s)}`;
    const { timeoutMs, lockTimeMs, keepWarm } = shape;
    const grant = { kind: isRefreshed(shape, s) ? 'refresh_token' : 'client_credentials' } as const;
    const refresh = { ahead: { kind: 'fraction', fraction: 0.2 }, keepWarm } as const;
    sources.set(name, sourceOf({ name, grant, timeoutMs, lockTimeMs, refresh, quota: quotaOf(shape) }));
  }
  const grants = new Map([...sources.keys()].map((name) => [name, { scopes: 'any', audiences: 'any' } as const]));
  const base = configurationOf();
  return {
    ...base,
    redis: { ...base.redis, commandTimeoutMs: COMMAND_TIMEOUT_MS, durableReplicas: shape.isReplicated ? 1 : 0 },
    cluster: {
      partitions: shape.partitions,
      tickMs: TICK_MS,
      minLifetimeMs: shape.minLifetimeMs,
      maxStalenessMs: shape.maxStalenessMs,
      demandMs: 600_000,
    },
    sources,
    callers: new Map([
      [CALLER, { name: CALLER, grants, admin: false, clientIds: [CALLER] }],
      [OPERATOR, { name: OPERATOR, grants, admin: true, clientIds: [OPERATOR] }],
    ]),
  };
}
