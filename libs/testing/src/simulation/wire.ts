import type { SeededRandom } from '../seeded-random.js';
import type { EventLoop } from './event-loop.js';

/** What one direction of a link does to what is sent over it. All may be changed at any time. */
export interface WireFaults {
  /** Probabilities, for published messages only: what the protocol itself sends obeys the rest alone. */
  loss: number;
  duplicate: number;
  /** That a message is late, so that later ones overtake it. */
  reorder: number;
  /** Added to the latency of the link. */
  delayMs: number;
  jitterMs: number;
  /**
   * All bytes vanish without a word, as in a half-open link. No TCP session lives on with a hole in its stream: where one
   * vanished, the first that gets through afterwards breaks the session.
   */
  blocked: boolean;
  /** Nothing arrives until this is `false` again; then all does, in order. */
  held: boolean;
}

class FaultKnobs implements WireFaults {
  loss = 0;
  duplicate = 0;
  reorder = 0;
  delayMs = 0;
  jitterMs = 0;
  blocked = false;
  #held = false;
  readonly #release: () => void;

  constructor(release: () => void) {
    this.#release = release;
  }

  get held(): boolean {
    return this.#held;
  }

  set held(held: boolean) {
    if (this.#held === held) return;
    this.#held = held;
    if (!held) this.#release();
  }
}

/** What became of messages. */
export interface MessageCounts {
  /** Taken by the server. */
  published: number;
  /** Handed to a subscription. */
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  /** Sent into a blocked wire, in whatever frames. */
  vanished: number;
  /** Requests that nobody subscribed to. */
  noResponders: number;
  /** Clients cut off since they took too little of what was sent to them. */
  slowConsumers: number;
}

/** One thing on the wire; what was sent over a session is worth nothing to the next. */
export interface Sent<Session, Frame> {
  readonly session: Session;
  readonly frame: Frame;
  readonly dueMs: number;
}

/** Latency of one direction of one link. */
export interface WireProfile {
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** How late the second copy of a message, or one that is overtaken, may be. */
  readonly strayMs: number;
}

interface WireEnds<Session, Frame> {
  arrive(sent: Sent<Session, Frame>): void;
  /** The stream of this session has a hole. */
  torn(session: Session): void;
}

/** One direction of a link: everything arrives later and in order, unless its faults say otherwise. */
export class Wire<Session, Frame> {
  readonly faults: WireFaults = new FaultKnobs(() => {
    this.#schedule();
  });
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #profile: WireProfile;
  readonly #counts: MessageCounts;
  readonly #ends: WireEnds<Session, Frame>;
  #queue: Sent<Session, Frame>[] = [];
  #isScheduled = false;
  #lastSentAtMs = -1;
  #lastDueMs = 0;
  #holed: Session | undefined;
  readonly #pump = (): void => {
    this.#isScheduled = false;
    let next = this.#queue[0];
    while (next !== undefined && next.dueMs <= this.#loop.nowMs && !this.faults.held) {
      this.#queue.shift();
      this.#arrive(next);
      next = this.#queue[0];
    }
    this.#schedule();
  };

  constructor(
    loop: EventLoop,
    random: SeededRandom,
    profile: WireProfile,
    counts: MessageCounts,
    ends: WireEnds<Session, Frame>,
  ) {
    this.#loop = loop;
    this.#random = random;
    this.#profile = profile;
    this.#counts = counts;
    this.#ends = ends;
  }

  /** What is under way, or held. */
  get backlog(): number {
    return this.#queue.length;
  }

  /** Whether the stream of this session has a hole: the next thing that arrives breaks it. */
  isTorn(session: Session): boolean {
    return this.#holed === session;
  }

  /** Whether what is sent now arrives within this time, for certain. */
  isPrompt(session: Session, withinMs: number): boolean {
    const { blocked, held, delayMs, jitterMs } = this.faults;
    if (blocked || held || this.#holed === session) return false;
    const soonestMs = this.#loop.nowMs + this.#profile.latencyMs + this.#profile.jitterMs + delayMs + jitterMs;
    return Math.max(soonestMs, this.#lastDueMs) <= this.#loop.nowMs + withinMs;
  }

  /** Sends what belongs to the protocol. */
  send(session: Session, frame: Frame): void {
    this.#enqueue({ session, frame, dueMs: this.#dueMs() });
  }

  /** Sends a published message. */
  sendMessage(session: Session, frame: Frame): void {
    const { loss, duplicate, reorder } = this.faults;
    if (loss > 0 && this.#random.uniform() < loss) {
      this.#counts.lost++;
      return;
    }
    const sent = { session, frame, dueMs: this.#dueMs() };
    if (duplicate > 0 && this.#random.uniform() < duplicate) {
      this.#counts.duplicated++;
      this.#stray(sent);
    }
    if (reorder > 0 && this.#random.uniform() < reorder) {
      this.#counts.reordered++;
      this.#stray(sent);
    } else this.#enqueue(sent);
  }

  /** What has not arrived never does. */
  discard(session: Session): void {
    this.#queue = this.#queue.filter((sent) => sent.session !== session);
  }

  /** What is sent at one moment goes in one segment, and arrives at one moment. */
  #dueMs(): number {
    const { nowMs } = this.#loop;
    if (nowMs === this.#lastSentAtMs) return this.#lastDueMs;
    const { delayMs, jitterMs } = this.faults;
    const { latencyMs, jitterMs: usualJitterMs } = this.#profile;
    const mostJitterMs = usualJitterMs + jitterMs;
    const lateMs = mostJitterMs === 0 ? 0 : mostJitterMs * this.#random.uniform();
    this.#lastSentAtMs = nowMs;
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + latencyMs + delayMs + lateMs);
    return this.#lastDueMs;
  }

  #enqueue(sent: Sent<Session, Frame>): void {
    this.#queue.push(sent);
    this.#schedule();
  }

  #stray({ session, frame, dueMs }: Sent<Session, Frame>): void {
    const lateMs = this.#profile.strayMs * this.#random.uniform();
    this.#loop.at(dueMs + lateMs, () => {
      const sent = { session, frame, dueMs: this.#loop.nowMs };
      if (this.faults.held) this.#enqueue(sent);
      else this.#arrive(sent);
    });
  }

  #schedule(): void {
    const next = this.#queue[0];
    if (next === undefined || this.#isScheduled || this.faults.held) return;
    this.#isScheduled = true;
    this.#loop.at(next.dueMs, this.#pump);
  }

  #arrive(sent: Sent<Session, Frame>): void {
    const { session } = sent;
    if (this.faults.blocked) {
      this.#holed = session;
      this.#counts.vanished++;
    } else if (this.#holed === session) this.#ends.torn(session);
    else this.#ends.arrive(sent);
  }
}
