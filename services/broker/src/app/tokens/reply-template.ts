import type { Timing } from '@token-broker/protocol';

/** What differs between two replies with the same token. */
export interface ReplyMoment {
  readonly asOf: number;
  readonly expiresInMs: number;
  readonly atMs: number;
  readonly heldMs: number;
  readonly verified: boolean;
}

/** 2^53 has 16 digits. JSON allows white space before a number: a field of fixed width needs no new serialisation. */
const WIDTH = 16;
const BLANK = ' '.repeat(WIDTH);
/** The moment's members: the same for every token. */
const TAIL = `,"asOf":${BLANK},"expiresInMs":${BLANK},"atMs":${BLANK},"heldMs":${BLANK},"verified":true}`;
/** Where each number is in the tail. */
const [AS_OF_AT, EXPIRES_IN_MS_AT, AT_MS_AT, HELD_MS_AT] = (['asOf', 'expiresInMs', 'atMs', 'heldMs'] as const).map(
  (field) => TAIL.indexOf(BLANK, TAIL.indexOf(`"${field}":`)),
) as [number, number, number, number];
const SPACE = 0x20;
const ZERO = 0x30;

/** What all tokens of a broker end with: its timing, and the moment's members. */
const endings = new WeakMap<Timing, Buffer>();

/** Replies that are kept for the millisecond they are of: so many slots may be asked for all the time. */
const RECENT_REPLIES = 1_024;

/** A reply as it was rendered last. */
interface Rendered extends ReplyMoment {
  readonly reply: Uint8Array;
}

/**
 * A reply that was serialised once, when the token was stored. {@link ReplyTemplate.render} copies it (the connection
 * keeps a reference until it flushes) and writes the numbers of the moment into their places. Callers of the same millisecond
 * share one copy, which nobody changes.
 *
 * It is kept as a string, and the token in it and nowhere else: of a million, a buffer each would take half as much again.
 */
export class ReplyTemplate {
  /**
   * Those with a reply at hand, the next to give it up at `#nextRecent`: a reply beside each token would double the memory. They
   * are held weakly, so that a token that was dropped is gone.
   */
  static readonly #recent: (WeakRef<ReplyTemplate> | undefined)[] = [];
  static #nextRecent = 0;

  /** The members that never change, in ASCII: a character is a byte. */
  readonly #fixed: string;
  readonly #ending: Buffer;
  #last: Rendered | undefined;

  /** `fixed`: the members that never change; the timing and the moment's members come after them. */
  constructor(fixed: Readonly<Record<string, unknown>>, timing: Timing) {
    this.#fixed = inAscii(JSON.stringify(fixed));
    this.#ending = endingOf(timing);
  }

  /** Of its own; what all share is not counted. */
  get bytes(): number {
    return this.#fixed.length;
  }

  /** What it was made of, made anew each time. */
  members(): unknown {
    return JSON.parse(this.#fixed);
  }

  render(moment: ReplyMoment): Uint8Array {
    const asOf = Math.floor(moment.asOf);
    const expiresInMs = Math.floor(moment.expiresInMs);
    const atMs = Math.floor(moment.atMs);
    const heldMs = Math.floor(moment.heldMs);
    const { verified } = moment;
    const last = this.#last;
    if (
      last?.atMs === atMs &&
      last.expiresInMs === expiresInMs &&
      last.asOf === asOf &&
      last.heldMs === heldMs &&
      last.verified === verified
    )
      return last.reply;
    const reply = this.#rendered(asOf, expiresInMs, atMs, heldMs, verified);
    if (last === undefined) this.#becomeRecent();
    // Member by member: a spread gives each of them a shape of its own, and whoever looks at many shapes is slow.
    this.#last = { asOf, expiresInMs, atMs, heldMs, verified, reply };
    return reply;
  }

  #rendered(asOf: number, expiresInMs: number, atMs: number, heldMs: number, verified: boolean): Uint8Array {
    // The ending begins where the brace is that ends what is fixed.
    const endingAt = this.#fixed.length - 1;
    const reply = Buffer.allocUnsafe(endingAt + this.#ending.length);
    reply.write(this.#fixed, 0, 'latin1');
    this.#ending.copy(reply, endingAt);
    const tailAt = reply.length - TAIL.length;
    writeNumber(reply, tailAt + AS_OF_AT, asOf);
    writeNumber(reply, tailAt + EXPIRES_IN_MS_AT, expiresInMs);
    writeNumber(reply, tailAt + AT_MS_AT, atMs);
    writeNumber(reply, tailAt + HELD_MS_AT, heldMs);
    if (verified) return reply;
    return Buffer.concat([reply.subarray(0, reply.length - 'true}'.length), Buffer.from('false}')]);
  }

  #becomeRecent(): void {
    const at = ReplyTemplate.#nextRecent;
    const oldest = ReplyTemplate.#recent[at]?.deref();
    if (oldest !== undefined) oldest.#last = undefined;
    ReplyTemplate.#recent[at] = new WeakRef(this);
    ReplyTemplate.#nextRecent = (at + 1) % RECENT_REPLIES;
  }
}

function endingOf(timing: Timing): Buffer {
  const known = endings.get(timing);
  if (known !== undefined) return known;
  const ending = Buffer.from(`,"timing":${JSON.stringify(timing)}${TAIL}`);
  endings.set(timing, ending);
  return ending;
}

function inAscii(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function writeNumber(target: Buffer, offset: number, value: number): void {
  let rest = Math.max(0, value);
  for (let at = offset + WIDTH - 1; at >= offset; at--) {
    const tens = Math.floor(rest / 10);
    target[at] = ZERO + (rest - tens * 10);
    rest = tens;
    if (rest === 0) {
      target.fill(SPACE, offset, at);
      return;
    }
  }
}
