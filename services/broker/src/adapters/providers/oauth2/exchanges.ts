import type { Clock } from '@token-broker/foundation';
import {
  exchange,
  ExchangeError,
  innermostMessage,
  type Exchange,
  type HttpFetch,
  type HttpRequest,
} from '../http/exchange.js';
import { WholeResponse } from './whole-response.js';

/**
 * The HTTP requests of one call, one after the other: they share one deadline, redirects are refused, and what is read is
 * bounded. It keeps the latest outcome, since the OAuth library tells only a part of it.
 */
export class Exchanges {
  readonly #fetch: HttpFetch;
  readonly #aborter = new AbortController();
  readonly #expiry: Promise<never>;
  readonly #cancelExpiry: () => void;
  #last: Exchange | undefined;
  #failure: ExchangeError | undefined;

  constructor(fetch: HttpFetch, clock: Clock, timeoutMs: number) {
    this.#fetch = fetch;
    let expire = (): void => undefined;
    this.#expiry = new Promise<never>((_, reject) => {
      expire = () => {
        reject(new ExchangeError('timeout', `no whole reply within ${String(timeoutMs)} ms`));
        this.#aborter.abort();
      };
    });
    // Time may run out between two requests, when nobody listens.
    this.#expiry.catch(() => undefined);
    const timer = clock.startTimer(timeoutMs, expire);
    this.#cancelExpiry = () => {
      timer.cancel();
    };
  }

  /** The latest reply, if the latest request got a whole one. */
  get last(): Exchange | undefined {
    return this.#last;
  }

  /** Why the latest request got none. */
  get failure(): ExchangeError | undefined {
    return this.#failure;
  }

  /** Ends the deadline. Nothing may be requested afterwards. */
  close(): void {
    this.#cancelExpiry();
  }

  async request(url: string, request: Omit<HttpRequest, 'signal'>): Promise<Response> {
    this.#last = undefined;
    this.#failure = undefined;
    try {
      // A race, so that the deadline holds whether or not the other side of the port obeys the signal.
      const { status, headers, text } = await Promise.race([this.#exchange(url, request), this.#expiry]);
      const response = new WholeResponse(text, { status, headers });
      this.#last = { status, headers, text };
      return response;
    } catch (error) {
      this.#failure = error instanceof ExchangeError ? error : new ExchangeError('network', innermostMessage(error));
      // Also closes the connection of a reply that was not read to its end.
      this.#aborter.abort();
      throw this.#failure;
    }
  }

  #exchange(url: string, request: Omit<HttpRequest, 'signal'>): Promise<Exchange> {
    const { signal } = this.#aborter;
    return signal.aborted ? this.#expiry : exchange(this.#fetch, url, { ...request, signal });
  }
}
