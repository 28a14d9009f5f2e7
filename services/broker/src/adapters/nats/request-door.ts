import { encode, failure, LIMITS, type ErrorCode } from '@token-broker/protocol';
import type { ServiceMsg } from 'nats';
import type { Clock } from '@token-broker/foundation';
import type { ServiceHandler } from '../../app/ports/bus.js';
import type { Audit } from '../../app/ports/audit.js';
import type { Log, Metrics } from '../../app/ports/telemetry.js';
import { createForgedReplies } from './forged-replies.js';
import { textOf } from './nats-connection.js';
import { ReceivedRequest } from './received-request.js';
import { createRequestRoutes, type RequestRoute } from './request-routes.js';
import type { Subjects } from '@token-broker/protocol';

/** When a caller that was refused because of load, or left without an answer, may try again. */
const RETRY_AFTER_MS = 1_000;

const failureBytes = (code: ErrorCode, message: string, retryAfterMs?: number): Uint8Array =>
  encode({ v: 1, error: failure(code, message, retryAfterMs) });

const INTERNAL = failureBytes('INTERNAL', 'the broker failed to answer this request');
const OVERLOADED = failureBytes('BROKER_UNAVAILABLE', 'this broker has too many requests under way', RETRY_AFTER_MS);
const LEAVING = failureBytes('BROKER_UNAVAILABLE', 'this broker is shutting down', 0);
const OVERSIZE = failureBytes('BAD_REQUEST', `the body has more than ${String(LIMITS.requestBytes)} bytes`);

export interface RequestDoorOptions {
  readonly subjects: Subjects;
  readonly handle: ServiceHandler;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  /** Requests that wait for their answer at the same time; above it the answer is `BROKER_UNAVAILABLE`. */
  readonly maxUnderWay: number;
}

/** Lets requests in: checks who asks and where the answer goes, bounds them, and answers. */
export interface RequestDoor {
  receive(message: ServiceMsg): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
  /** Answers those still under way that the broker leaves; their own answers are not sent any more. */
  abandon(): void;
}

/**
 * The inbox rule: NATS guards the subject of a request, not its reply subject, which could name another caller's
 * inbox or any subject that the broker may publish to. So a request is answered below `_INBOX.<caller>.` or not at all.
 */
export function createRequestDoor(options: RequestDoorOptions): RequestDoor {
  const { handle, clock, log, audit, metrics, maxUnderWay } = options;
  const routeOf = createRequestRoutes(options.subjects);
  const forged = createForgedReplies(clock, audit);
  const underWay = new Set<ServiceMsg>();
  const idleWaiters: (() => void)[] = [];

  const respond = (message: ServiceMsg, bytes: Uint8Array): void => {
    try {
      message.respond(bytes);
    } catch (error) {
      // Closed, or larger than the server takes: the caller shall at least hear that there is no answer.
      log.error('a reply could not be sent', {
        subject: message.subject,
        bytes: bytes.length,
        detail: textOf(error),
      });
      if (bytes !== INTERNAL) respond(message, INTERNAL);
    }
  };

  const failed = (message: ServiceMsg, error: unknown): Uint8Array => {
    log.error('a request failed', { subject: message.subject, detail: textOf(error) });
    return INTERNAL;
  };

  const end = (message: ServiceMsg, bytes: Uint8Array): void => {
    if (!underWay.delete(message)) return;
    respond(message, bytes);
    if (underWay.size === 0) for (const resolve of idleWaiters.splice(0)) resolve();
  };

  const answer = (message: ServiceMsg, route: RequestRoute): void => {
    const body = message.data;
    if (body.length > LIMITS.requestBytes) {
      respond(message, OVERSIZE);
      return;
    }
    if (underWay.size >= maxUnderWay) {
      log.warn('too many requests are under way; further ones are refused', { limit: maxUnderWay });
      respond(message, OVERLOADED);
      return;
    }
    let outcome: Uint8Array | Promise<Uint8Array>;
    try {
      outcome = handle(new ReceivedRequest(route, message, body));
    } catch (error) {
      outcome = failed(message, error);
    }
    if (outcome instanceof Uint8Array) {
      respond(message, outcome);
      return;
    }
    underWay.add(message);
    outcome.then(
      (bytes) => end(message, bytes),
      (error: unknown) => end(message, failed(message, error)),
    );
  };

  return {
    receive(message) {
      const reply = message.reply ?? '';
      if (reply === '') {
        metrics.requestDropped('no-reply-subject');
        return;
      }
      const route = routeOf(message.subject);
      if (route.inbox === '' || !reply.startsWith(route.inbox)) {
        metrics.requestDropped('reply-subject');
        forged.note(route.caller, message.subject, reply);
        return;
      }
      if ('verb' in route) answer(message, route);
      else respond(message, failureBytes('BAD_REQUEST', route.problem ?? 'the subject is not one of this protocol'));
    },
    idle() {
      if (underWay.size === 0) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
    abandon() {
      forged.flush();
      if (underWay.size > 0) log.warn('left with requests under way', { requests: underWay.size });
      for (const message of [...underWay]) {
        metrics.requestDropped('draining');
        end(message, LEAVING);
      }
    },
  };
}
