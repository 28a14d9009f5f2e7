import type { NatsCallback, NatsConnectionLike, NatsMessageLike } from '@token-broker/client';

/** What becomes of a message on its way to the client; `held` ones arrive when they are released. */
export type Fate = 'arrives' | 'lost' | 'held';

/** A connection on which a test decides, message by message, what arrives. */
export interface FilteredConnection {
  readonly connection: NatsConnectionLike;
  /** Decides from now on. At first everything arrives. */
  decide(fateOf: (message: NatsMessageLike) => Fate): void;
  /** The messages that are held. */
  readonly held: readonly NatsMessageLike[];
  /** Lets what is held arrive, in order. */
  release(): void;
}

/** The kind of a message by its subject: `heartbeat`, `invalidation`, `event`, or `reply` for one to an inbox. */
export function kindOf({ subject }: { readonly subject: string }): string {
  return subject.startsWith('_INBOX.') ? 'reply' : (subject.split('.')[2] ?? '');
}

export function filterConnection(inner: NatsConnectionLike): FilteredConnection {
  let fateOf: (message: NatsMessageLike) => Fate = () => 'arrives';
  const held: { message: NatsMessageLike; callback: NatsCallback }[] = [];
  return {
    connection: {
      publish: (subject, data, options) => inner.publish(subject, data, options),
      subscribe: (subject, { callback }) =>
        inner.subscribe(subject, {
          callback(error, message) {
            const fate = error === null ? fateOf(message) : 'arrives';
            if (fate === 'arrives') callback(error, message);
            // The driver's message is a view of its buffer: what is kept must be a copy.
            else if (fate === 'held') held.push({ message: copyOf(message), callback });
          },
        }),
      status: () => inner.status(),
      flush: () => inner.flush(),
      isClosed: () => inner.isClosed(),
    },
    decide: (next) => (fateOf = next),
    get held() {
      return held.map(({ message }) => message);
    },
    release() {
      for (const { message, callback } of held.splice(0)) callback(null, message);
    },
  };
}

function copyOf({ subject, data, headers }: NatsMessageLike): NatsMessageLike {
  return { subject, data: Uint8Array.from(data), ...(headers === undefined ? {} : { headers }) };
}
