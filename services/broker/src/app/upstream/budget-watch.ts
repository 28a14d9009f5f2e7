import { within, type Clock } from '@token-broker/foundation';
import { ceilingsFor } from '../../domain/call-class.js';
import { exhaustedInMs, withSample, type UsageSample } from '../../domain/exhaustion.js';
import type { Governor } from './governor.js';
import type { BudgetGauges } from '../ports/telemetry.js';
import type { BudgetState } from '../ports/upstream-budgets.js';
import { windowText } from './window-text.js';
import type { Source, Sources } from '../sources/sources.js';

/** A reading so young is not read again: two scrapers cost Redis no more than one. */
const FRESH_MS = 1_000;
/** A reading that is older is not told: no figure is better than one that others have long replaced. */
const STALE_MS = 10_000;
/** A scrape waits no longer for Redis. */
const WAIT_MS = 250;
/** Sources whose budgets are told: as many as have a label of their own. */
const MAX_SOURCES = 500;
/** The longest that a day or a month may be. */
const PERIOD_MS = { day: 86_400_000, month: 31 * 86_400_000 } as const;

interface Reading {
  readonly state: BudgetState;
  readonly readAtMs: number;
  /** By limit: what the forecast goes by. */
  readonly usage: readonly (readonly UsageSample[])[];
}

export interface BudgetWatchPorts {
  readonly clock: Clock;
  readonly sources: Sources;
  readonly governor: Pick<Governor, 'state'>;
}

/**
 * Where the shared budgets stand, for metrics. Read from Redis when it is asked for, so that all replicas tell the same and
 * nobody pays for what nobody scrapes; a Redis that is slow or away costs the figures, and not the scrape.
 */
export class BudgetWatch {
  readonly #ports: BudgetWatchPorts;
  #readings = new Map<string, Reading>();
  #reading: Promise<void> | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: BudgetWatchPorts) {
    this.#ports = ports;
  }

  /** Reads again where that is due, and waits for it a moment. Never rejects. */
  async look(): Promise<void> {
    const { clock } = this.#ports;
    if (this.#reading === undefined) {
      if (clock.elapsedMs() - this.#askedAtMs < FRESH_MS) return;
      this.#askedAtMs = clock.elapsedMs();
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
    }
    await within(clock, WAIT_MS, this.#reading);
  }

  /** What the last look has found, where it still says something. */
  get budgets(): readonly BudgetGauges[] {
    const nowMs = this.#ports.clock.elapsedMs();
    return this.#sources().flatMap((source) => {
      const reading = this.#readings.get(keyOf(source));
      const isKnown = reading !== undefined && nowMs - reading.readAtMs < STALE_MS;
      return isKnown ? [gaugesOf(source, reading, nowMs)] : [];
    });
  }

  #sources(): Source[] {
    return [...this.#ports.sources.current.sources.values()].slice(0, MAX_SOURCES);
  }

  async #read(): Promise<void> {
    const { clock, governor } = this.#ports;
    const wanted = new Map(this.#sources().map((source) => [keyOf(source), source]));
    const readings = new Map<string, Reading>();
    await Promise.all(
      [...wanted].map(async ([key, source]) => {
        const known = this.#readings.get(key);
        const readAtMs = clock.elapsedMs();
        const state = await governor.state(source).catch(() => undefined);
        if (state === undefined) {
          if (known !== undefined) readings.set(key, known);
          return;
        }
        const usage = source.quota.map(({ window }, index) => {
          const sample = { atMs: readAtMs, used: state.used[index]?.common ?? 0 };
          return withSample(known?.usage[index] ?? [], sample, lengthOf(window));
        });
        readings.set(key, { state, readAtMs, usage });
      }),
    );
    // Replaced as a whole: what a reload has removed is forgotten.
    this.#readings = readings;
  }
}

/** Sources of one upstream share its account; limits and credential are part of what is read. */
function keyOf({ upstream, credential, quota }: Source): string {
  return [upstream, credential, ...quota.map(({ window }) => windowText(window))].join(' ');
}

function gaugesOf(source: Source, { state, readAtMs, usage }: Reading, nowMs: number): BudgetGauges {
  const ageMs = nowMs - readAtMs;
  const { limits: ceilings } = ceilingsFor(source.quota, 'waiting-refetch');
  const limits = source.quota.map(({ limit, window }, index) => {
    const { common = 0, reserve = 0 } = ceilings[index] ?? {};
    const { common: used = 0, reserve: reserveUsed = 0 } = state.used[index] ?? {};
    const remaining = Math.max(0, common - used);
    const inMs = exhaustedInMs(usage[index] ?? [], remaining, lengthOf(window));
    const exhausted = inMs === undefined ? undefined : Math.max(0, inMs - ageMs);
    return { window: windowText(window), limit, used, reserve, reserveUsed, remaining, exhaustedInMs: exhausted };
  });
  return {
    source: source.configuration.name,
    upstream: source.upstream,
    limits,
    open: state.open,
    pausedMs: Math.max(0, state.pausedMs - ageMs),
    credentialPausedMs: Math.max(0, state.credentialPausedMs - ageMs),
    breaker: state.breaker,
  };
}

function lengthOf(window: Source['quota'][number]['window']): number {
  return window.kind === 'sliding' ? window.ms : PERIOD_MS[window.period];
}
