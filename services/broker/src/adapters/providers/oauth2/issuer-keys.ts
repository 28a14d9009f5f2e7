import { err, ok, SingleFlight, type Clock, type Result } from '@token-broker/foundation';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { HttpFetch } from '../http/exchange.js';
import { parseObject } from '../http/json-object.js';
import { failureOfExchange } from '../http/http-failure.js';
import { Exchanges } from './exchanges.js';
import { refusalOf, type RefusalContext } from './refusal.js';

/** Keys are read again after this: what an issuer has withdrawn is believed no longer. */
const LIFE_MS = 15 * 60 * 1_000;

/** A key that nobody knows makes us ask the issuer again, but no more often than this: anyone can make one up. */
const UNKNOWN_KEY_PAUSE_MS = 30_000;

/** Finds the key of a token's header, as jose asks for it. */
export type KeySet = ReturnType<typeof createLocalJWKSet>;

export interface IssuerKeysOptions {
  /** Where the keys are; a failure where that cannot be found out now. */
  readonly address: () => Promise<Result<string, ProviderFailure>>;
  /** The address may be an old one. */
  readonly forgetAddress: () => void;
  readonly clock: Clock;
  readonly fetch: HttpFetch;
  readonly detail: (text: string) => string;
  readonly timeoutMs: number;
}

/** An issuer's public keys (RFC 7517 §5), read when they are first needed and kept for 15 minutes. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  readonly #flight = new SingleFlight<Result<KeySet, ProviderFailure>>();
  #kept: { readonly keys: KeySet; readonly untilMs: number } | undefined;
  #latest: { readonly outcome: Result<KeySet, ProviderFailure>; readonly atMs: number } | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** The keys as they are known. A failure to read them is tried again by the next call. */
  async read(): Promise<Result<KeySet, ProviderFailure>> {
    if (this.#kept !== undefined && this.#options.clock.elapsedMs() < this.#kept.untilMs) return ok(this.#kept.keys);
    return this.#readAgain();
  }

  /**
   * The keys for a token whose key is not among `known`: newer ones, if the issuer was not asked within the last 30 s. A
   * failure within that time is told again, since nobody can say whether such a key is the issuer's.
   */
  async readNewerThan(known: KeySet): Promise<Result<KeySet, ProviderFailure>> {
    if (this.#kept !== undefined && this.#kept.keys !== known) return ok(this.#kept.keys);
    const latest = this.#latest;
    if (latest !== undefined && this.#options.clock.elapsedMs() < latest.atMs + UNKNOWN_KEY_PAUSE_MS) {
      return latest.outcome;
    }
    return this.#readAgain();
  }

  #readAgain(): Promise<Result<KeySet, ProviderFailure>> {
    return this.#flight.join('', async () => {
      const outcome = await this.#request();
      const nowMs = this.#options.clock.elapsedMs();
      this.#latest = { outcome, atMs: nowMs };
      if (outcome.ok) this.#kept = { keys: outcome.value, untilMs: nowMs + LIFE_MS };
      else if (outcome.error.code === 'IDP_PROTOCOL') this.#options.forgetAddress();
      return outcome;
    });
  }

  async #request(): Promise<Result<KeySet, ProviderFailure>> {
    const { clock, fetch, detail, timeoutMs } = this.#options;
    const address = await this.#options.address();
    if (!address.ok) return address;
    const exchanges = new Exchanges(fetch, clock, timeoutMs);
    const context = (): RefusalContext => ({ asked: 'the key set', wallMs: clock.wallMs(), detail });
    try {
      await exchanges.request(address.value, { method: 'GET', headers: { accept: 'application/json' } });
    } catch {
      // Told by the exchange.
    } finally {
      exchanges.close();
    }
    const { last: reply, failure } = exchanges;
    if (failure !== undefined) return err(failureOfExchange(failure, context()));
    if (reply === undefined) return err({ code: 'IDP_UNAVAILABLE', message: 'the key set was not read', detail: '' });
    if (reply.status !== 200) return err(refusalOf(reply, undefined, context()));
    try {
      return ok(createLocalJWKSet(parseObject(reply.text) as unknown as JSONWebKeySet));
    } catch (error) {
      return err(refusalOf(reply, error, context()));
    }
  }
}
