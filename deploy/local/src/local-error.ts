/** Something that a person can act on: what happened, why, and what to do next. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly why: string;
  readonly next: string;
  /** The last lines of the process that failed. */
  readonly lines: readonly string[];

  constructor(
    what: string,
    details: { readonly why: string; readonly next: string; readonly lines?: readonly string[] },
  ) {
    super(what);
    this.why = details.why;
    this.next = details.next;
    this.lines = details.lines ?? [];
  }
}
