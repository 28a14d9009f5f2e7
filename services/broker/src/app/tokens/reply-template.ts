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

/**
 * A reply that was serialised once, when the token was stored. {@link ReplyTemplate.render} copies it (the connection
 * keeps a reference until it flushes) and writes the numbers of the moment into their places.
 */
export class ReplyTemplate {
  readonly #verified: Buffer;
  readonly #offsets: readonly number[];

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
}

function writeNumber(target: Buffer, offset: number, value: number): void {
  let rest = Math.max(0, Math.floor(value));
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
