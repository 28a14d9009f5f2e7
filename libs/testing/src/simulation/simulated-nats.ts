import type { SeededRandom } from '../seeded-random.js';
import type { EventLoop } from './event-loop.js';
import type { NatsSession, ServerSubscription, ToServer } from './nats-session.js';
import type { SimulatedConnectionOptions } from './driver-link.js';
import { SimulatedConnection } from './simulated-connection.js';
import type { SimulatedProcess } from './simulated-process.js';
import { SubjectTree } from './subject-tree.js';
import type { MessageCounts } from './wire.js';

const EMPTY = new Uint8Array(0);

export interface SimulatedNatsProfile {
  /** Latency of one direction of one link. Default 0.5 ms, and up to 0.5 ms of jitter; nothing overtakes by that. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  /** How late the second copy of a message, or one that is overtaken, may be. Default 20 ms. */
  readonly strayMs?: number;
  /**
   * How long the server takes at most to find a client dead that says nothing any more. Until then it routes to it, queue
   * groups included. Default 20 s.
   */
  readonly serverPingMs?: number;
  /** Messages that wait for one client before it counts as a slow consumer and is cut off. Default 10,000. */
  readonly maxUntaken?: number;
}

/**
 * A NATS server: at most once, in order from one publisher to one subscriber, `*` and `>`, queue groups, no-responders.
 * What travels between it and its clients obeys {@link SimulatedConnection.toServer} and
 * {@link SimulatedConnection.toClient}.
 */
export class SimulatedNats {
  readonly counts: MessageCounts = {
    published: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    vanished: 0,
    noResponders: 0,
    slowConsumers: 0,
  };
  /** Called when the server takes a publish, before anybody gets it: a place for faults. */
  onMessage?: (subject: string, data: Uint8Array) => void;
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #profile: Required<SimulatedNatsProfile>;
  readonly #sessions = new Set<NatsSession>();
  readonly #connections = new Set<SimulatedConnection>();
  #tree = new SubjectTree<ServerSubscription>();
  #isUp = true;
  #groupsWholeSinceMs = 0;

  constructor(loop: EventLoop, random: SeededRandom, profile: SimulatedNatsProfile = {}) {
    this.#loop = loop;
    this.#random = random;
    this.#profile = {
      latencyMs: 0.5,
      jitterMs: 0.5,
      strayMs: 20,
      serverPingMs: 20_000,
      maxUntaken: 10_000,
      ...profile,
    };
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Sessions that the server believes in. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * Since when each member of each queue group has been there. A member whose session broke without the server's learning of it
   * is given its part of all requests until the server has found it out: as long as there is one, this is `Infinity`.
   */
  get groupsWholeSinceMs(): number {
    for (const session of this.#sessions) if (isLostMember(session)) return Number.POSITIVE_INFINITY;
    return this.#groupsWholeSinceMs;
  }

  /** A connection of this process: there at once if the server is up, else as soon as the driver gets through. */
  connect(process: SimulatedProcess, options: SimulatedConnectionOptions = {}): SimulatedConnection {
    const world = {
      loop: this.#loop,
      random: this.#random,
      profile: this.#profile,
      counts: this.counts,
      take: (session: NatsSession, frame: ToServer) => {
        this.#take(session, frame);
      },
      open: (session: NatsSession) => this.#open(session),
      end: (session: NatsSession) => {
        this.#end(session);
      },
    };
    const connection = new SimulatedConnection(world, process, options, (closed) => this.#connections.delete(closed));
    this.#connections.add(connection);
    return connection;
  }

  /** The server's process ends: every connection is broken, and none can be made. */
  stop(): void {
    this.#isUp = false;
    for (const session of [...this.#sessions]) this.#drop(session);
  }

  /** It is back, and knows nothing. */
  start(): void {
    this.#isUp = true;
  }

  /** To be told of a process that has been killed: its kernel closes what it had open. A machine without power tells nobody. */
  gone(process: SimulatedProcess): void {
    for (const connection of [...this.#connections]) if (connection.process === process) connection.abandon();
  }

  #take(session: NatsSession, frame: ToServer): void {
    if (frame.kind === 'open') {
      session.peer.tell(session, { kind: this.#open(session) ? 'info' : 'close' });
      return;
    }
    if (frame.kind === 'close') {
      this.#end(session);
      return;
    }
    if (!session.isOpen) {
      // The kernel of the server knows nothing of this session.
      session.peer.tell(session, { kind: 'close' });
      return;
    }
    switch (frame.kind) {
      case 'connect':
        session.peer.tell(session, { kind: 'welcome' });
        break;
      case 'ping':
        session.peer.tell(session, { kind: 'pong' });
        break;
      case 'subscribe': {
        const { sid, subject, queue } = frame;
        if (session.subscriptions.has(sid)) break;
        const subscription = { session, sid, subject, queue };
        session.subscriptions.set(sid, subscription);
        this.#tree.add(subscription);
        break;
      }
      case 'unsubscribe': {
        const subscription = session.subscriptions.get(frame.sid);
        if (subscription === undefined) break;
        session.subscriptions.delete(frame.sid);
        this.#tree.remove(subscription);
        break;
      }
      case 'publish':
        this.#publish(session, frame.subject, frame.data, frame.reply);
        break;
    }
  }

  #publish(from: NatsSession, subject: string, data: Uint8Array, reply: string): void {
    this.counts.published++;
    this.onMessage?.(subject, data);
    if (!from.isOpen) return;
    const { all, groups } = this.#tree.match(subject);
    if (all.length === 0 && groups.length === 0) {
      if (reply !== '') this.#answerForNobody(from, reply);
      return;
    }
    for (const { session, sid } of all) this.#deliver(session, sid, subject, data, reply);
    for (const group of groups) {
      const member = group[group.length === 1 ? 0 : this.#random.integer(group.length)];
      if (member !== undefined) this.#deliver(member.session, member.sid, subject, data, reply);
    }
  }

  #deliver(session: NatsSession, sid: number, subject: string, data: Uint8Array, reply: string): void {
    if (!session.isOpen) return;
    session.peer.deliver(session, { kind: 'message', sid, subject, data, reply });
    if (session.peer.untaken <= this.#profile.maxUntaken) return;
    this.counts.slowConsumers++;
    session.peer.discard(session);
    this.#drop(session);
  }

  /** Only who asked is told, and only where it listens itself to the subject that it wants the reply on. */
  #answerForNobody(session: NatsSession, reply: string): void {
    this.counts.noResponders++;
    const own = this.#tree.match(reply).all.find((subscription) => subscription.session === session);
    if (own === undefined) return;
    const headers = { code: 503 };
    session.peer.tell(session, { kind: 'message', sid: own.sid, subject: reply, data: EMPTY, reply: '', headers });
  }

  #open(session: NatsSession): boolean {
    if (!this.#isUp || session.isReset) return false;
    session.isOpen = true;
    this.#sessions.add(session);
    this.#checkLater(session);
    return true;
  }

  /** The server closes the session, and says so. */
  #drop(session: NatsSession, error?: string): void {
    this.#end(session);
    session.peer.tell(session, { kind: 'close', ...(error === undefined ? {} : { error }) });
  }

  #end(session: NatsSession): void {
    if (!session.isOpen) return;
    if (isLostMember(session)) this.#groupsWholeSinceMs = this.#loop.nowMs;
    session.isOpen = false;
    session.check?.cancel();
    for (const subscription of session.subscriptions.values()) this.#tree.remove(subscription);
    session.subscriptions.clear();
    this.#sessions.delete(session);
  }

  #checkLater(session: NatsSession): void {
    session.check = this.#loop.after(this.#profile.serverPingMs / 2, () => {
      const answers = session.peer.answers(session);
      if (!answers && session.isSuspect) {
        this.#drop(session, 'NATS_PROTOCOL_ERR');
        return;
      }
      session.isSuspect = !answers;
      this.#checkLater(session);
    });
  }
}

function isLostMember(session: NatsSession): boolean {
  if (session.peer.isOn(session)) return false;
  for (const { queue } of session.subscriptions.values()) if (queue !== '') return true;
  return false;
}
