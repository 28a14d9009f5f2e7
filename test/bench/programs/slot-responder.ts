import {
  createSubjects,
  encode,
  slotOf,
  type Heartbeat,
  type SyncReply,
  type SyncRequest,
  type TokenReply,
} from '@token-broker/protocol';
import { connect, type NatsConnection } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_PREFIX, BARE_RESPONDER, PASSWORD } from '../stack/settings.js';

/**
 * Answers for any slot at once, as brokers do that hold it, so that a near cache can be filled with a million of them; and
 * says every second where its partition stands, without which the near cache would not trust what it holds.
 */

const LIFE_MS = 3_600_000;
const PARTITION = 0;
const TIMING = { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };

const subjects = createSubjects(BARE_PREFIX);
let connection: NatsConnection | undefined;
let vseq = 0;

function replyOf(source: string, audience: string, tokenCharacters: number): TokenReply {
  return {
    ...{ v: 1, slot: slotOf(source, { audience }), partition: PARTITION, epoch: 1, generation: 1, asOf: vseq },
    ...{ expiresInMs: LIFE_MS, lifeMs: LIFE_MS, atMs: Date.now(), heldMs: 0, verified: true },
    accessToken: `${audience}-`.padEnd(tokenCharacters, 'x'),
    tokenType: 'Bearer',
  };
}

function standing(): Pick<Heartbeat & SyncReply, 'v' | 'ageMs' | 'atMs' | 'epochs' | 'vseqs' | 'timing'> {
  return { v: 1, ageMs: 0, atMs: Date.now(), epochs: [1], vseqs: [vseq], timing: TIMING };
}

function syncReplyOf({ holds, verify }: SyncRequest): SyncReply {
  const live = verify === true ? { live: holds?.flatMap(({ slots }) => slots) } : {};
  return { ...standing(), changes: [], reset: [], ...live };
}

const methods = {
  async serve({ url, tokenCharacters }: { url: string; tokenCharacters: number }) {
    connection = await connect({ servers: url, user: BARE_RESPONDER, pass: PASSWORD });
    connection.subscribe(subjects.get('*', '*'), {
      callback: (_error, message) => {
        const { audience } = JSON.parse(message.string()) as { audience: string };
        const source = message.subject.slice(message.subject.lastIndexOf('.') + 1);
        message.respond(encode(replyOf(source, audience, tokenCharacters)));
      },
    });
    connection.subscribe(subjects.sync('*'), {
      callback: (_error, message) => {
        message.respond(encode(syncReplyOf(JSON.parse(message.string()) as SyncRequest)));
      },
    });
    setInterval(() => {
      connection?.publish(subjects.heartbeat(), encode({ ...standing(), broker: 'a-broker' } satisfies Heartbeat));
    }, TIMING.tickMs);
    await connection.flush();
  },
  /** Tells near caches that every token of a source is dead. */
  async revoke(source: string) {
    const change = { partition: PARTITION, epoch: 1, vseq: ++vseq, floor: 1, sources: [source] };
    connection?.publish(subjects.invalidation(PARTITION), encode({ v: 1, id: String(vseq), changes: [change] }));
    await connection?.flush();
  },
};
export type SlotResponderMethods = typeof methods;
serveMethods(methods);
