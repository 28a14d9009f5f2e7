import type { NatsCallback, NatsConnectionLike, NatsMessageLike } from '@token-broker/client';
import { PartitionState } from '@token-broker/client/simulation';
import type { Bug } from './bug.js';
import { patched } from './patched.js';

type Fields = Record<string, unknown>;

/** A connection that changes some of the JSON that arrives. */
function rewriting(
  connection: NatsConnectionLike,
  isMeant: (subject: string) => boolean,
  change: (fields: Fields, subject: string) => Fields,
): NatsConnectionLike {
  const rewritten = (message: NatsMessageLike): NatsMessageLike => {
    if (!isMeant(message.subject) || message.data.length === 0) return message;
    const fields = JSON.parse(Buffer.from(message.data).toString('utf8')) as Fields;
    return { ...message, subject: message.subject, data: Buffer.from(JSON.stringify(change(fields, message.subject))) };
  };
  return {
    ...delegating(connection),
    subscribe: (subject, { callback }) => {
      const listen: NatsCallback = (error, message) => {
        callback(error, error === null ? rewritten(message) : message);
      };
      return connection.subscribe(subject, { callback: listen });
    },
  };
}

/** The same connection, to be changed in part. */
function delegating(connection: NatsConnectionLike): NatsConnectionLike {
  return {
    publish: (...args) => {
      connection.publish(...args);
    },
    subscribe: (...args) => connection.subscribe(...args),
    status: () => connection.status(),
    flush: () => connection.flush(),
    isClosed: () => connection.isClosed(),
  };
}

const isReply = (subject: string): boolean => subject.startsWith('_INBOX.');
const isHeartbeat = (subject: string): boolean => subject.endsWith('.heartbeat');

/** Rules that near caches keep. */
export const CLIENT_BUGS: readonly Bug[] = [
  {
    name: 'life-from-the-reply',
    breaks: ['G4'],
    what: 'A near cache counts the life of a token from the arrival of the reply, not from its request.',
    client: (connection, clock) => {
      const sentAtMs = new Map<string, number>();
      const asked: NatsConnectionLike = {
        ...delegating(connection),
        publish: (subject, data, options) => {
          if (options?.reply !== undefined) sentAtMs.set(options.reply, clock.elapsedMs());
          connection.publish(subject, data, options);
        },
      };
      // As if the broker had held the request for all of the time that it was under way.
      return rewriting(asked, isReply, (fields, subject) =>
        'heldMs' in fields
          ? { ...fields, heldMs: Math.floor(clock.elapsedMs() - (sentAtMs.get(subject) ?? 0)) }
          : fields,
      );
    },
  },
  {
    name: 'verified-at-arrival',
    breaks: ['G2'],
    what: 'A heartbeat proves that nothing was missed until it arrives, however long it was on its way.',
    client: (connection) => rewriting(connection, isHeartbeat, (fields) => ({ ...fields, ageMs: 0, atMs: 8e15 })),
  },
  {
    name: 'trust-for-ever',
    breaks: ['G2'],
    what: 'A near cache that hears nothing any more (one-way loss, a dead link) serves on.',
    patch: () =>
      patched(PartitionState.prototype, () => ({
        retime(this: PartitionState<unknown>) {
          this.trustedUntilMs = Number.POSITIVE_INFINITY;
        },
        isSuspect: () => false,
      })),
  },
  {
    name: 'gaps-do-not-count',
    // Of a revocation whose call has failed, G2 promises nothing; but near caches have to come to agree with Redis.
    breaks: ['G2', 'convergence'],
    what: 'A heartbeat verifies a near cache also where it has missed an invalidation.',
    patch: () =>
      patched(PartitionState.prototype, (before) => ({
        verify(this: PartitionState<unknown>, vseq, atMs, timing) {
          this.advance(vseq, atMs);
          before.verify.call(this, vseq, atMs, timing);
        },
      })),
  },
];
