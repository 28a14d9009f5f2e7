import { within, type Clock } from '@token-broker/foundation';
import type { Subjects } from '@token-broker/protocol';
import type { NatsConnection, Service as MicroService } from 'nats';
import type { Service } from '../../app/ports/bus.js';
import type { Audit } from '../../app/ports/audit.js';
import type { Log, Metrics } from '../../app/ports/telemetry.js';
import { flushWithin, textOf, type NatsLink } from './nats-connection.js';
import { createRequestDoor, type RequestDoor } from './request-door.js';

/** How long `start` waits until the server has taken the subscriptions, where it is connected. */
const START_FLUSH_MS = 2_000;

/** The least time for sending the last replies, when waiting for them has used up the limit. */
const LAST_FLUSH_MS = 250;

/** The pause before a service is offered again that the server has refused. */
const REFUSED_PAUSE_MS = 5_000;

const DEFAULT_MAX_UNDER_WAY = 10_000;

export interface NatsServiceOptions {
  readonly connection: NatsLink;
  readonly subjects: Subjects;
  /** Name of the micro service, by which `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` find it. */
  readonly name: string;
  /** Version of the broker (SemVer). */
  readonly version: string;
  /** The queue group that the replicas share: each request reaches one of them. */
  readonly queue: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  /** Requests under way at the same time. Default 10,000. */
  readonly maxUnderWay?: number;
}

/**
 * {@link Service} as a NATS micro service. Endpoints are callbacks, not iterators: an answer that is there at once is
 * sent within the callback, at the speed of a bare subscription; an iterator took 2.5 to 3 times as much per request. The service's own statistics therefore count the time until the handler returned, not that
 * of a promise; the broker's metrics have both.
 */
export function createNatsService(options: NatsServiceOptions): Service {
  const { connection: link, subjects, name, version, queue, clock, log, audit, metrics } = options;
  let door: RequestDoor | undefined;
  let service: MicroService | undefined;
  /** The one whose subscriptions the server has taken: before that it tells callers that nobody answers. */
  let reachable: MicroService | undefined;
  let detach = (): void => undefined;
  let draining = false;
  let beginning: Promise<void> = Promise.resolve();

  const offer = async (connection: NatsConnection, to: RequestDoor): Promise<void> => {
    if (draining || connection.isClosed()) return;
    const offered = await connection.services.add({
      name,
      version,
      queue,
      description: 'Hands out tokens: fetched once, shared sealed, refreshed ahead, revoked everywhere.',
    });
    const endpoints = {
      get: subjects.get('*', '*'),
      rejected: subjects.rejected('*', '*'),
      sync: subjects.sync('*'),
      admin: subjects.admin('*', '*'),
    };
    for (const [endpoint, subject] of Object.entries(endpoints)) {
      // An error never gets here: the driver stops the service instead.
      offered.addEndpoint(endpoint, { subject, handler: (_error, message) => to.receive(message) });
    }
    service = offered;
    void offered.stopped.then((why) => {
      if (service === offered) service = undefined;
      if (draining || connection.isClosed()) return;
      // One refused subscription stops all of them. Permissions may be restored, so this replica offers itself again.
      log.error('NATS stopped the service', { service: name, detail: textOf(why) });
      clock.startTimer(REFUSED_PAUSE_MS, () => begin(connection));
    });
    if (link.isConnected()) await flushWithin(connection, clock, START_FLUSH_MS);
    reachable = offered;
  };

  const begin = (connection: NatsConnection): void => {
    if (door !== undefined) beginning = offer(connection, door).catch(logFailure);
  };
  const logFailure = (error: unknown): void => {
    log.error('the service could not be offered', { service: name, detail: textOf(error) });
  };

  return {
    async start(handle) {
      if (door !== undefined) throw new Error('the service has been started already');
      const maxUnderWay = options.maxUnderWay ?? DEFAULT_MAX_UNDER_WAY;
      door = createRequestDoor({ subjects, handle, clock, log, audit, metrics, maxUnderWay });
      detach = link.eachConnection(begin);
      await beginning;
    },

    async drain(limitMs) {
      if (door === undefined) return;
      const untilMs = clock.elapsedMs() + limitMs;
      const remainingMs = (): number => Math.max(0, untilMs - clock.elapsedMs());
      draining = true;
      detach();
      // What the server has sent before it took the end of the subscriptions is ours to answer.
      if (service !== undefined) await within(clock, remainingMs(), service.stop());
      await within(clock, remainingMs(), door.idle());
      door.abandon();
      const connection = link.current();
      if (connection !== undefined && link.isConnected())
        await flushWithin(connection, clock, Math.max(LAST_FLUSH_MS, remainingMs()));
    },

    isConnected: () => service !== undefined && service === reachable && link.isConnected(),
  };
}
