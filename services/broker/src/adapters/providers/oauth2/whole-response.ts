/**
 * A response that has been read to its end. Its text is not made a stream again: to read that would take longer than all else
 * that is done with it.
 */
export class WholeResponse extends Response {
  readonly #text: string;

  override readonly text = (): Promise<string> => Promise.resolve(this.#text);
  // eslint-disable-next-line @typescript-eslint/require-await -- what is no JSON rejects, and does not throw
  override readonly json = async (): Promise<unknown> => JSON.parse(this.#text);
  override readonly clone = (): WholeResponse => new WholeResponse(this.#text, this);

  /** @throws {RangeError} for a status that no response can have */
  constructor(text: string, init: { readonly status: number; readonly headers: Headers }) {
    super(null, init);
    this.#text = text;
  }
}
