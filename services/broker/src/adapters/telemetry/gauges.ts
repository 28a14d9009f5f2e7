import { Gauge, type Registry } from 'prom-client';
import { LIFE_BANDS, type Gauges } from '../../app/ports/telemetry.js';

/** Registers what is read at the moment of a scrape. A value that is not known then has no sample. */
export function registerGauges(registry: Registry, read: () => Gauges | undefined): void {
  const gauge = (name: string, help: string, valueOf: (now: Gauges) => number | undefined): void => {
    new Gauge({
      name: `token_broker_${name}`,
      help,
      registers: [registry],
      collect() {
        const now = read();
        const value = now === undefined ? undefined : valueOf(now);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  };
  const bySource = (
    name: string,
    help: string,
    valuesOf: (now: Gauges) => Iterable<readonly [string, number]>,
  ): void => {
    new Gauge({
      name: `token_broker_${name}`,
      help,
      labelNames: ['source'],
      registers: [registry],
      collect() {
        // A source that a reload has removed leaves no series behind.
        this.reset();
        const now = read();
        if (now !== undefined) for (const [source, value] of valuesOf(now)) this.set({ source }, value);
      },
    });
  };

  gauge('memory_entries', 'Tokens held in memory.', (now) => now.memoryEntries);
  gauge('memory_bytes', 'Bytes of the tokens held in memory.', (now) => now.memoryBytes);
  gauge('flights', 'Fetches under way in this process.', (now) => now.flights);
  gauge('lease_age_seconds', 'Age of the oldest lease of a partition; absent without any.', ({ leaseAgeMs }) =>
    secondsOf(leaseAgeMs),
  );
  gauge(
    'heartbeat_age_seconds',
    'Time since a heartbeat of any broker came from NATS; absent before the first.',
    ({ heartbeatAgeMs }) => secondsOf(heartbeatAgeMs),
  );
  gauge('brokers', 'Brokers with a lease, this one included, as this one has last read.', (now) => now.brokers);
  gauge('nats_connected', 'Whether both connections of this broker to NATS stand: 1 or 0.', (now) =>
    Number(now.natsConnected),
  );
  gauge('redis_available', 'Whether Redis answers this broker: 1 or 0.', (now) => Number(now.redisAvailable));
  gauge('near_caches', 'Near caches seen lately.', (now) => now.nearCachesSeen);
  bySource(
    'near_caches_in_demand',
    'Near caches that have reported to this broker in the last 36 s that they use the source.',
    (now) => now.nearCachesBySource,
  );
  bySource('source_paused', 'Whether an operator has the source paused: 1 or 0.', ({ pausedBySource }) =>
    [...pausedBySource].map(([source, isPaused]) => [source, Number(isPaused)]),
  );
  bySource('slots_held', 'Slots held in memory, by source.', ({ holdingsBySource }) =>
    [...holdingsBySource].map(([source, { held }]) => [source, held]),
  );
  bySource(
    'slots_in_demand',
    'Slots held in memory that somebody has asked for or reported lately.',
    ({ holdingsBySource }) => [...holdingsBySource].map(([source, { inDemand }]) => [source, inDemand]),
  );
  registerRemainingLife(registry, read);
}

/** A gauge for each band, and not a histogram: it tells what is held now, and goes down as well as up. */
function registerRemainingLife(registry: Registry, read: () => Gauges | undefined): void {
  new Gauge({
    name: 'token_broker_tokens_by_remaining_life',
    help: 'Tokens held in memory, by the band that their remaining life is in. Each is in one band.',
    labelNames: ['source', 'remaining'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [source, { byRemainingLife }] of read()?.holdingsBySource ?? [])
        for (const [index, { name: remaining }] of LIFE_BANDS.entries())
          this.set({ source, remaining }, byRemainingLife[index] ?? 0);
    },
  });
}

function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
