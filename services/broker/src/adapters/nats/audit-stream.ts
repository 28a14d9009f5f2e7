import { within, type Clock } from '@token-broker/foundation';
import type { AuditDestination, AuditLine } from '../../app/ports/audit.js';
import type { NatsLink } from './nats-connection.js';

/** How long the stream may take to confirm. */
const ACK_MS = 1_500;

/** {@link auditToStream} needs beside the stream's name and subject. */
export interface AuditStreamOptions {
  readonly connection: NatsLink;
  /** The stream must exist, and take this subject: a broker has no right to make one. */
  readonly stream: { readonly name: string; readonly subject: string };
  readonly clock: Clock;
}

/** Publishes records to JetStream. Each has its id as message id, so that the stream keeps one that was sent twice once. */
export function auditToStream({ connection: link, stream, clock }: AuditStreamOptions): AuditDestination {
  return {
    name: 'stream',
    async deliver(lines: readonly AuditLine[]) {
      const connection = link.current();
      if (connection === undefined || !link.isConnected()) throw new Error('NATS is away');
      const client = connection.jetstream({ timeout: ACK_MS });
      const acks = lines.map(({ record, text }) =>
        client.publish(stream.subject, text, {
          msgID: record.id,
          expect: { streamName: stream.name },
          timeout: ACK_MS,
        }),
      );
      const confirmed = await within(clock, 2 * ACK_MS, Promise.all(acks));
      if (!confirmed.inTime) throw new Error('the stream did not confirm');
    },
    close: () => Promise.resolve(),
  };
}
