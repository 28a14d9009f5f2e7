import type { Called, Issued } from './observation.js';
import type { Order } from './order.js';

/** The tokens that were ever issued: by which call, until when, and whether they were taken back. */
export class TokenRegister {
  readonly #calls = new Map<number, Called>();
  readonly #issued = new Map<string, Issued>();
  readonly #takenBack = new Set<string>();
  readonly #firstGiven = new Map<string, Order>();
  readonly #idpCaches: boolean;

  constructor(idpCaches: boolean) {
    this.#idpCaches = idpCaches;
  }

  called(call: Called): void {
    this.#calls.set(call.call, call);
  }

  callOf(call: number): Called | undefined {
    return this.#calls.get(call);
  }

  /** An identity provider may return one token twice: the first call made it, and the last one told the shortest life. */
  issued(issued: Issued): void {
    const known = this.#issued.get(issued.token);
    this.#issued.set(issued.token, known === undefined ? issued : { ...known, lifeMs: issued.lifeMs });
  }

  issueOf(token: string): Issued | undefined {
    return this.#issued.get(token);
  }

  /**
   * Where the claim stood that the token was fetched under. A provider that caches gives a token to later claims too, and one
   * that nobody was ever given cannot be told from a new one: there, the order with which it was given first counts.
   */
  orderOf(token: string, given: Order): Order {
    if (this.#idpCaches) {
      const first = this.#firstGiven.get(token) ?? given;
      this.#firstGiven.set(token, first);
      return first;
    }
    const issued = this.#issued.get(token);
    return (issued === undefined ? undefined : this.#calls.get(issued.call)) ?? given;
  }

  takenBack(token: string): void {
    this.#takenBack.add(token);
  }

  isTakenBack(token: string): boolean {
    return this.#takenBack.has(token);
  }
}
