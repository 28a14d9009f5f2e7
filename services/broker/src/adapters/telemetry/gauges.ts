import { Gauge, type Registry } from 'prom-client';
import type { Gauges } from '../../app/ports/telemetry.js';

/** Registers what is read at the moment of a scrape. A value that is not known then has no sample. */
export function registerGauges(registry: Registry, read: () => Gauges): void {
  const gauge = (name: string, help: string, valueOf: (now: Gauges) => number | undefined): void => {
    new Gauge({
      name: `token_broker_${name}`,
      help,
      registers: [registry],
      collect() {
        const value = valueOf(read());
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  };

  gauge('memory_entries', 'Tokens held in memory.', (now) => now.memoryEntries);
  gauge('memory_bytes', 'Bytes of the tokens held in memory.', (now) => now.memoryBytes);
  gauge('flights', 'Fetches under way in this process.', (now) => now.flights);
  gauge('lease_age_seconds', 'Age of the oldest lease of a partition; absent without any.', ({ leaseAgeMs }) =>
    leaseAgeMs === undefined ? undefined : leaseAgeMs / 1_000,
  );
  gauge('nats_connected', 'Whether both connections of this broker to NATS stand: 1 or 0.', (now) =>
    Number(now.natsConnected),
  );
  gauge('redis_available', 'Whether Redis answers this broker: 1 or 0.', (now) => Number(now.redisAvailable));
  gauge('near_caches', 'Near caches seen lately.', (now) => now.nearCachesSeen);

  new Gauge({
    name: 'token_broker_slots_held',
    help: 'Slots held in memory, by source.',
    labelNames: ['source'],
    registers: [registry],
    collect() {
      // A source that a reload has removed leaves no series behind.
      this.reset();
      for (const [source, count] of read().slotsHeldBySource) this.set({ source }, count);
    },
  });
}
