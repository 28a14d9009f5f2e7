import { delay, type Clock } from '@token-broker/foundation';
import type { AuditRecord } from '@token-broker/protocol';
import type { NatsConnection } from 'nats';
import { AuditLines } from './audit/audit-lines.js';
import { CommandFailure, usageFailure } from './command-failure.js';
import type { ConnectionSettings } from './connection-settings.js';
import { EXIT } from './exit-codes.js';
import { connectNats } from './nats-connection.js';

/** How often a stream that is followed is asked for more. */
const LOOK_MS = 500;

interface StreamMessage {
  readonly seq: number;
  readonly data: string;
  /** When the stream took it. */
  readonly atMs: number;
}

export interface StreamReading {
  readonly stream: string;
  readonly follow: boolean;
  /** Wall clock, ms: earlier ones are passed over without being read, one by one. */
  readonly sinceMs?: number;
}

/**
 * The records of a JetStream stream, and with `follow` those that come. Read message by message: a consumer would take
 * the right to have messages delivered to any subject.
 *
 * @throws {CommandFailure} where there is no such stream, or NATS does not let us read it
 */
export async function* recordsOfStream(
  settings: ConnectionSettings,
  { stream, follow, sinceMs }: StreamReading,
  clock: Clock,
): AsyncGenerator<AuditRecord> {
  const connection = await connectNats(settings, clock);
  const reader = new StreamReader(connection, stream, settings.timeoutMs);
  const lines = new AuditLines();
  try {
    for (let seq = await reader.firstSince(sinceMs); ;) {
      const message = await reader.next(seq);
      if (message !== undefined) {
        seq = message.seq + 1;
        yield* lines.take(`${message.data}\n`);
      } else if (follow) await delay(clock, LOOK_MS);
      else return;
    }
  } finally {
    await connection.close();
  }
}

class StreamReader {
  readonly #connection: NatsConnection;
  readonly #stream: string;
  readonly #timeoutMs: number;

  constructor(connection: NatsConnection, stream: string, timeoutMs: number) {
    this.#connection = connection;
    this.#stream = stream;
    this.#timeoutMs = timeoutMs;
  }

  /** The number of the first message that the stream took at this time or later, by halving. */
  async firstSince(sinceMs: number | undefined): Promise<number> {
    const { state } = (await this.#ask('STREAM.INFO', {})) as { state: { first_seq: number; last_seq: number } };
    // A stream that never had a message begins at 0, which JetStream takes for no number at all.
    let [low, high] = [Math.max(1, state.first_seq), state.last_seq + 1];
    if (sinceMs === undefined) return low;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.next(middle);
      if (message !== undefined && message.atMs < sinceMs) low = message.seq + 1;
      else high = middle;
    }
    return low;
  }

  /** The first message of this number or a later one. */
  async next(seq: number): Promise<StreamMessage | undefined> {
    const reply = await this.#ask('STREAM.MSG.GET', { seq, next_by_subj: '>' });
    const { message } = reply as { message?: { seq: number; data?: string; time: string } };
    if (message === undefined) return undefined;
    const data = Buffer.from(message.data ?? '', 'base64').toString('utf8');
    return { seq: message.seq, data, atMs: Date.parse(message.time) };
  }

  /** A reply of JetStream's API; an empty one where there is no such message. */
  async #ask(verb: string, body: object): Promise<unknown> {
    let reply: { readonly error?: { readonly err_code?: number; readonly description?: string } };
    try {
      const subject = `$JS.API.${verb}.${this.#stream}`;
      const { data } = await this.#connection.request(subject, JSON.stringify(body), { timeout: this.#timeoutMs });
      reply = JSON.parse(Buffer.from(data).toString('utf8')) as typeof reply;
    } catch (error) {
      throw unreadable(this.#stream, error);
    }
    if (reply.error === undefined) return reply;
    if (reply.error.err_code === NO_MESSAGE) return {};
    throw usageFailure(
      `the stream ${this.#stream} cannot be read: ${reply.error.description ?? 'NATS does not say why'}`,
      'Check --stream against `audit.stream` of the configuration, and that the stream is there.',
    );
  }
}

/** `JSNoMessageFoundErr`. */
const NO_MESSAGE = 10_037;

function unreadable(stream: string, error: unknown): CommandFailure {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const isDenied = code.includes('PERMISSIONS');
  return new CommandFailure(
    {
      code: isDenied ? 'NATS_DENIED' : 'NATS_UNAVAILABLE',
      message: `the stream ${stream} cannot be read: ${isDenied ? 'the NATS server does not let this user' : message}`,
      remedy: isDenied
        ? 'It takes `admin: true` of the caller, and the NATS permissions that `tokenctl nats-permissions` prints.'
        : 'Check that the NATS server runs with JetStream.',
    },
    isDenied ? EXIT.denied : EXIT.unavailable,
  );
}
