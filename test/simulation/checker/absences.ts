/** Which processes have not run, and until when: what one of them did not do then is no fault of its code. */
export class Absences {
  readonly #untilMs = new Map<string, number>();

  left(process: string): void {
    this.#untilMs.set(process, Number.POSITIVE_INFINITY);
  }

  returned(process: string, atMs: number): void {
    this.#untilMs.set(process, atMs);
  }

  /** Whether it has not run at some time from `sinceMs` until now. */
  hasBeenAwaySince(process: string, sinceMs: number): boolean {
    return (this.#untilMs.get(process) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }
}
