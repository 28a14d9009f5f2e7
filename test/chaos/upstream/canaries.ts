import { inspect } from 'node:util';
import { failureReplySchema, decode, LIMITS } from '@token-broker/protocol';
import { eventually, type NatsUser } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { dumpRedis } from '../../integration/redis-dump.js';
import { SecretSearch, type Seen } from '../../integration/spellings.js';
import { PASSWORD, type Stack } from '../../integration/stack.js';

/** May hear everything, and say nothing. */
const OBSERVER: NatsUser = {
  user: 'observer',
  password: PASSWORD,
  permissions: { publish: [], subscribe: ['>'] },
};

/** Collects, while faults go on, whatever can be seen from outside. */
export interface Canaries {
  /** Everything that NATS has carried. */
  readonly messages: readonly Seen[];
  /** What callers were refused with, and the pages and dumps that were taken. */
  readonly answers: readonly Seen[];
  readonly pages: readonly Seen[];
  readonly dumps: readonly Seen[];
  /** Notes what was answered, or thrown. */
  note(where: string, value: unknown): void;
  /** Notes how `work` ends, whichever way that is. */
  outcome(where: string, work: Promise<unknown>): Promise<void>;
  /** Takes what Redis holds and what the replicas' pages say at this moment. */
  capture(moment: string): Promise<void>;
  stop(): void;
}

export async function startCanaries(stack: Stack): Promise<Canaries> {
  const messages: Seen[] = [];
  const answers: Seen[] = [];
  const pages: Seen[] = [];
  const dumps: Seen[] = [];
  await stack.changeNatsUsers((users) => [...users, OBSERVER]);
  const observer = await stack.connectAs(OBSERVER.user);
  observer.subscribe('>', {
    callback: (_error, { subject, data }) => messages.push({ where: subject, bytes: data.slice() }),
  });
  await observer.flush();
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port, retryStrategy: () => 20 });
  // Redis goes away in these tests; what it says about that is of no interest.
  redis.on('error', () => undefined);

  const note = (where: string, value: unknown): void => {
    const text =
      value instanceof Error ? `${value.stack ?? ''} ${inspect(value, { depth: 9 })}` : JSON.stringify(value ?? null);
    answers.push({ where, bytes: Buffer.from(text) });
  };
  return {
    messages,
    answers,
    pages,
    dumps,
    note,
    outcome: (where, work) =>
      work.then(
        (value) => {
          note(where, value);
        },
        (error: unknown) => {
          note(where, error);
        },
      ),
    async capture(moment) {
      // A key that expires while it is read is read again.
      const dump = await eventually(() => dumpRedis(redis), { what: 'a dump of Redis' });
      dumps.push(...dump.map(({ where, bytes }) => ({ where: `${moment}: ${where}`, bytes })));
      for (const { http } of stack.brokers)
        for (const page of ['metrics', 'readyz', 'livez']) {
          const reply = await fetch(`http://${http.host}:${String(http.port)}/${page}`).catch(() => undefined);
          if (reply === undefined) continue;
          pages.push({ where: `${moment}: /${page}`, bytes: Buffer.from(await reply.text()) });
        }
    },
    stop() {
      redis.disconnect();
    },
  };
}

/** Where any of the secrets was found, and how it was spelt; never the secret itself. */
export function leaks(places: readonly Seen[], secrets: readonly string[]): string[] {
  const search = new SecretSearch(secrets);
  return places.flatMap(({ where, bytes }) => {
    // A place whose name holds a secret is a leak as well, and must not be printed.
    const isNamed = search.in(Buffer.from(where)).length > 0;
    return [
      ...(isNamed ? ['in a name'] : []),
      ...search.in(bytes).map((how) => `${isNamed ? '(hidden)' : where}: ${how}`),
    ];
  });
}

/** A reply on the inbox of somebody who asked. */
export function isReply({ where }: Seen): boolean {
  return where.startsWith('_INBOX.');
}

export function isRefusal({ bytes }: Seen): boolean {
  return decode(failureReplySchema, bytes, LIMITS.replyBytes).ok;
}
