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
 */
export class ReplyTemplate {
  /**
   * Those with a reply at hand, the next to give it up at `#nextRecent`: a reply beside each token would double the memory. They
   * are held weakly, so that a token that was dropped is gone.
   */
  static readonly #recent: (WeakRef<ReplyTemplate> | undefined)[] = [];
  static #nextRecent = 0;

  readonly #verified: Buffer;
  readonly #offsets: readonly number[];
  #last: Rendered | undefined;

  /** `fixed`: the members that never change; the moment's members come after them. */
  constructor(fixed: Readonly<Record<string, unknown>>) {
    const blank = ' '.repeat(WIDTH);
    let text = JSON.stringify(fixed).slice(0, -1);
    const offsets: number[] = [];
    for (const field of FIELDS) {
      text += `,"${field}":`;
      offsets.push(Buffer.byteLength(text));
      text += blank;
    }
    this.#verified = Buffer.from(`${text},"verified":true}`);
    this.#offsets = offsets;
  }

  get bytes(): number {
    return this.#verified.length;
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
    const reply = Buffer.allocUnsafe(this.#verified.length);
    this.#verified.copy(reply);
    for (let i = 0; i < FIELDS.length; i++) {
      const field = FIELDS[i];
      const offset = this.#offsets[i];
      if (field !== undefined && offset !== undefined) writeNumber(reply, offset, moment[field]);
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
