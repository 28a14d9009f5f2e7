import type { Socket } from 'node:net';
import type { Random } from '@token-broker/foundation';

/** What goes wrong in one direction of a link. May be set at any time; it holds for open and for later connections. */
export interface LinkFaults {
  /** How long bytes are under way, in milliseconds. Default 0. */
  delayMs: number;
  /** Up to how much longer each chunk is under way, in milliseconds; bytes stay in order. Default 0. */
  jitterMs: number;
  /** Bytes arrive in pieces of at most this size, with a turn of the event loop in between. Default 0: as they came. */
  sliceBytes: number;
  /**
   * Bytes vanish, and the end of the stream with them: one-way loss. A TCP stream has no gaps, so a connection that has
   * lost bytes carries nothing more in that direction, also when this is set to false again; later ones are whole.
   */
  discard: boolean;
  /**
   * Bytes are kept until this is set to false again: a link that is down for less time than TCP gives up after. Beyond
   * 1 MiB the sender is no longer read, and so feels a peer that does not read.
   */
  hold: boolean;
}

/** How much a lane takes over before it stops reading from the sender. */
const MOST_PENDING_BYTES = 1024 * 1024;

/** Bytes that wait for their time, or the end of the stream: `end` was a FIN, `reset` an RST. */
interface Parcel {
  bytes: Buffer | 'end' | 'reset';
  readonly dueMs: number;
}

/** What a lane needs to know of its proxy. */
export interface LaneRules {
  readonly faults: Readonly<LinkFaults>;
  readonly random: Random;
  /** Whether the whole link is half-open. */
  isSilent(): boolean;
  /** Where the first watched text begins in `bytes`, seen together with the `before` that went ahead of them. */
  trigger(before: Buffer, bytes: Buffer): { readonly at: number; readonly act: () => void } | undefined;
  /** How many bytes the longest watched text has. */
  longestTrigger(): number;
}

/** One direction of one connection: reads from `from`, and writes to `to` what the faults let through, in order. */
export class FaultLane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rules: LaneRules;
  readonly #queue: Parcel[] = [];
  #pendingBytes = 0;
  #lastDueMs = 0;
  #tail: Buffer = Buffer.alloc(0);
  #isLossy = false;
  #isWaiting = false;

  constructor(from: Socket, to: Socket, rules: LaneRules) {
    this.#from = from;
    this.#to = to;
    this.#rules = rules;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#enqueue('end'));
    from.on('close', (hadError: boolean) => {
      if (hadError) this.#enqueue('reset');
    });
    to.on('close', () => this.abandon());
  }

  /** Whether bytes of this direction have been lost. */
  get isLossy(): boolean {
    return this.#isLossy;
  }

  /** Passes on what may go by now. To be called when the faults have changed. */
  pump(): void {
    while (!this.#isWaiting && !this.#rules.faults.hold) {
      const [parcel] = this.#queue;
      if (parcel === undefined) return;
      const waitMs = parcel.dueMs - performance.now();
      if (waitMs > 0) this.#pumpAfter((done) => setTimeout(done, waitMs).unref());
      else this.#passOn(parcel);
    }
  }

  /** Loses what is under way, as a dead link does. */
  lose(): void {
    if (this.#queue.length > 0) this.#isLossy = true;
    this.abandon();
  }

  /** Forgets what waits: nobody is there to take it. */
  abandon(): void {
    this.#queue.length = 0;
    this.#pendingBytes = 0;
    this.#from.resume();
  }

  #take(bytes: Buffer): void {
    let rest = bytes;
    for (;;) {
      const trigger = this.#rules.trigger(this.#tail, rest);
      if (trigger === undefined) break;
      this.#enqueue(rest.subarray(0, trigger.at));
      this.#remember(rest.subarray(0, trigger.at));
      rest = rest.subarray(trigger.at);
      trigger.act();
    }
    this.#enqueue(rest);
    this.#remember(rest);
  }

  /** Keeps as much as may be the beginning of a watched text that goes on in the next chunk. */
  #remember(bytes: Buffer): void {
    const length = Math.max(0, this.#rules.longestTrigger() - 1);
    this.#tail = length === 0 ? Buffer.alloc(0) : Buffer.concat([this.#tail, bytes]).subarray(-length);
  }

  #enqueue(bytes: Buffer | 'end' | 'reset'): void {
    if (bytes.length === 0 || this.#to.destroyed) return;
    const { faults, random } = this.#rules;
    if (this.#isLossy || faults.discard || this.#rules.isSilent()) {
      this.#isLossy = true;
      return;
    }
    const jitterMs = faults.jitterMs === 0 ? 0 : random.uniform() * faults.jitterMs;
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + faults.delayMs + jitterMs);
    this.#queue.push({ bytes, dueMs: this.#lastDueMs });
    if (typeof bytes !== 'string') this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > MOST_PENDING_BYTES) this.#from.pause();
    this.pump();
  }

  #passOn(parcel: Parcel): void {
    const { bytes } = parcel;
    if (typeof bytes === 'string') {
      this.#queue.shift();
      if (bytes === 'end') this.#to.end();
      else this.#to.resetAndDestroy();
      return;
    }
    const { sliceBytes } = this.#rules.faults;
    const isSlice = sliceBytes > 0 && bytes.length > sliceBytes;
    const piece = isSlice ? bytes.subarray(0, sliceBytes) : bytes;
    if (isSlice) parcel.bytes = bytes.subarray(sliceBytes);
    else this.#queue.shift();
    this.#pendingBytes -= piece.length;
    // The next slice goes when this one has left and had a turn to be read, or the two would arrive as one.
    if (sliceBytes > 0) this.#pumpAfter((done) => this.#to.write(piece, () => setImmediate(setImmediate, done)));
    else if (!this.#to.write(piece)) this.#pumpAfter((done) => this.#to.once('drain', done));
    if (this.#pendingBytes <= MOST_PENDING_BYTES) this.#from.resume();
  }

  #pumpAfter(wait: (done: () => void) => void): void {
    this.#isWaiting = true;
    wait(() => {
      this.#isWaiting = false;
      this.pump();
    });
  }
}
