import type { Clock } from '@token-broker/foundation';
import type { Memory } from '../memory/memory.js';
import type { Bus, Service } from '../ports/bus.js';
import type { Store } from '../ports/store.js';

/** Whether a replica can do its work, and of each part of that `ok`, or what it lacks. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

export interface ReadinessPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly service: Service;
  readonly bus: Bus;
  readonly memory: Memory;
  readonly leaseMs: number;
}

/** @param state of the process: `ok`, or why it serves nobody yet or any more */
export function readinessOf(ports: ReadinessPorts, state: 'ok' | 'starting' | 'draining'): Readiness {
  const { clock, store, service, bus, memory, leaseMs } = ports;
  const hasLease = memory.views.every((view) => view.hasLease(clock.elapsedMs(), leaseMs));
  const checks = {
    redis: store.isAvailable() && hasLease ? 'ok' : 'Redis does not answer, or has not for three ticks',
    nats: service.isConnected() ? 'ok' : 'the service is not connected to NATS',
    events: bus.isConnected() ? 'ok' : 'the event connection to NATS is away',
    state,
  };
  return { ready: Object.values(checks).every((check) => check === 'ok'), checks };
}
