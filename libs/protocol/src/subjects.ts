/** The first token of every subject unless it is configured otherwise. */
export const DEFAULT_SUBJECT_PREFIX = 'token-broker';

const VERSION = 'v1';

/** Every subject of the protocol, for one prefix. `docs/protocol.md` says who publishes what. */
export interface Subjects {
  get(caller: string, source: string): string;
  rejected(caller: string, source: string): string;
  sync(caller: string): string;
  admin(caller: string, verb: string): string;
  ack(caller: string): string;
  event(source: string, slot: string): string;
  /** `all`: changes of several partitions in one message. */
  invalidation(partition: number | 'all' | '*'): string;
  heartbeat(): string;
  /** Outcomes of flights, among brokers. */
  flight(slot: string): string;
  /** One broker's own mailbox, among brokers. `all` reaches each of them. */
  peer(broker: string): string;
  /** Records of the audit trail, where a stream keeps them. */
  audit(): string;
  /** What a broker learns from the subject of a request: the server has enforced the caller's token. */
  parse(subject: string): ParsedSubject | undefined;
}

export type ParsedSubject =
  | { readonly verb: 'get' | 'rejected'; readonly caller: string; readonly source: string }
  | { readonly verb: 'sync' | 'ack'; readonly caller: string }
  | { readonly verb: 'admin'; readonly caller: string; readonly operation: string };

export function createSubjects(prefix: string = DEFAULT_SUBJECT_PREFIX): Subjects {
  const root = `${prefix}.${VERSION}`;
  return {
    get: (caller, source) => `${root}.get.${caller}.${source}`,
    rejected: (caller, source) => `${root}.rejected.${caller}.${source}`,
    sync: (caller) => `${root}.sync.${caller}`,
    admin: (caller, verb) => `${root}.admin.${caller}.${verb}`,
    ack: (caller) => `${root}.ack.${caller}`,
    event: (source, slot) => `${root}.event.${source}.${slot}`,
    invalidation: (partition) => `${root}.invalidation.${String(partition)}`,
    heartbeat: () => `${root}.heartbeat`,
    flight: (slot) => `${root}.flight.${slot}`,
    audit: () => `${root}.audit`,
    peer: (broker) => `${root}.peer.${broker}`,
    parse(subject) {
      if (!subject.startsWith(`${root}.`)) return undefined;
      const [verb, caller, last, ...rest] = subject.slice(root.length + 1).split('.');
      if (caller === undefined || rest.length > 0) return undefined;
      if (verb === 'sync' || verb === 'ack') return last === undefined ? { verb, caller } : undefined;
      if (last === undefined) return undefined;
      if (verb === 'get' || verb === 'rejected') return { verb, caller, source: last };
      return verb === 'admin' ? { verb, caller, operation: last } : undefined;
    },
  };
}

/** Where a caller's replies go, and nowhere else: the broker drops any other reply subject. */
export function inboxPrefixOf(caller: string): string {
  return `_INBOX.${caller}`;
}
