/** What differs between two replies with the same token. */
export interface ReplyMoment {
  readonly asOf: number;
  readonly expiresInMs: number;
  readonly atMs: number;
  readonly heldMs: number;
  readonly verified: boolean;
}

const FIELDS = ['asOf', 'expiresInMs', 'atMs', 'heldMs'] as const;
/** 2^53 has 16 digits. JSON allows white space before a number: a field of fixed width needs no new serialisation. */
const WIDTH = 16;
const BLANK = ' '.repeat(WIDTH);
/** The moment's members: the same for every token. */
const TAIL = `${FIELDS.map((field) => `,"${field}":${BLANK}`).join('')},"verified":true}`;
const TAIL_BYTES = Buffer.from(TAIL);
/** Where each number is in the tail. */
const OFFSETS = FIELDS.map((field) => TAIL.indexOf(BLANK, TAIL.indexOf(`"${field}":`)));
const SPACE = 0x20;
const ZERO = 0x30;

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
 * It is kept as a string: of a million, a buffer each would take half as much again, and the token could not be a part of it.
 */
export class ReplyTemplate {
  /**
   * Those with a reply at hand, the next to give it up at `#nextRecent`: a reply beside each token would double the memory. They
   * are held weakly, so that a token that was dropped is gone.
   */
  static readonly #recent: (WeakRef<ReplyTemplate> | undefined)[] = [];
  static #nextRecent = 0;

  /** The members that never change, in ASCII: a character is a byte. */
  readonly #head: string;
  #last: Rendered | undefined;

  /** `fixed`: the members that never change; the moment's members come after them. */
  constructor(fixed: Readonly<Record<string, unknown>>) {
    this.#head = inAscii(JSON.stringify(fixed)).slice(0, -1);
  }

  get bytes(): number {
    return this.#head.length + TAIL_BYTES.length;
  }

  /** The same text; where the template holds it, without memory of its own (V8 keeps a slice as a reference). */
  sharing(text: string): string {
    const at = this.#head.indexOf(text);
    return at < 0 ? text : this.#head.slice(at, at + text.length);
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
    const numbers = { asOf, expiresInMs, atMs, heldMs, verified };
    const reply = this.#rendered(numbers);
    if (last === undefined) this.#becomeRecent();
    this.#last = { ...numbers, reply };
    return reply;
  }

  #rendered(moment: ReplyMoment): Uint8Array {
    const tailAt = this.#head.length;
    const reply = Buffer.allocUnsafe(tailAt + TAIL_BYTES.length);
    reply.write(this.#head, 0, 'latin1');
    TAIL_BYTES.copy(reply, tailAt);
    for (let i = 0; i < FIELDS.length; i++) {
      const field = FIELDS[i];
      const offset = OFFSETS[i];
      if (field !== undefined && offset !== undefined) writeNumber(reply, tailAt + offset, moment[field]);
    }
    if (moment.verified) return reply;
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
