import { err, ok, type Clock, type Redacted, type Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { createDetailOfCalls } from '../detail.js';
import { exchange, ExchangeError, innermostMessage, type Exchange, type HttpFetch } from './exchange.js';
import { failureOfExchange, type FailureContext } from './http-failure.js';
import { openHttpPool, type HttpPoolOptions } from './http-pool.js';
import { readProxy } from './proxy.js';

export interface HttpClientOptions extends HttpPoolOptions {
  /** Secrets of the source: in no detail, however they are spelled. Those of the proxy are added. */
  readonly secrets: readonly Redacted[];
  /** As the upstream knows the source, where that is spelled together with a secret. Default: in no way. */
  readonly clientId?: string;
  readonly clock: Clock;
  /** HTTP. Default: the network. */
  readonly fetch?: HttpFetch;
}

/** One request of a call. */
export interface HttpCall {
  /** What it is for, as the subject of a sentence: `the token request`. */
  readonly asked: string;
  readonly url: string;
  /** Default `GET`, or `POST` where there is a body. */
  readonly method?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The call's (`ProviderCall.signal`): the guard around the provider aborts it at the deadline. */
  readonly signal: AbortSignal;
  /** What this request carries that must be in no log line: assertions, credentials that were lent. */
  readonly given?: readonly (Redacted | undefined)[];
}

/** A reply of whatever status, but no redirect; and what is needed to tell what it means. */
export interface HttpAnswer {
  readonly reply: Exchange;
  readonly context: FailureContext;
}

/**
 * One source's way to an upstream that speaks HTTP: its trust, its proxy, its connections. Each request is sent once;
 * nothing is retried, and no redirect is followed.
 */
export interface HttpClient {
  /** Never rejects. The failure says that there is no whole reply: what a reply means is for its reader to say. */
  request(call: HttpCall): Promise<Result<HttpAnswer, ProviderFailure>>;
  /** Waits for the requests that are running. */
  close(): Promise<void>;
}

export function openHttpClient(options: HttpClientOptions): HttpClient {
  const { secrets, clientId = '', proxy, clock, fetch } = options;
  const pool = fetch === undefined ? openHttpPool(options) : { fetch, close: () => Promise.resolve() };
  const proxySecrets = proxy === undefined ? [] : readProxy(proxy).secrets;
  const detailOf = createDetailOfCalls(clientId, [...secrets, ...proxySecrets]);
  return {
    async request({
      asked,
      url,
      body,
      method = body === undefined ? 'GET' : 'POST',
      headers = {},
      signal,
      given = [],
    }) {
      const context: FailureContext = { asked, wallMs: clock.wallMs(), detail: detailOf(given) };
      const aborter = new AbortController();
      try {
        const either = AbortSignal.any([signal, aborter.signal]);
        const sent = { method, headers, ...(body === undefined ? {} : { body }), signal: either };
        return ok({ reply: await exchange(pool.fetch, url, sent), context });
      } catch (error) {
        aborter.abort();
        const known = error instanceof ExchangeError ? error : new ExchangeError('network', innermostMessage(error));
        return err(failureOfExchange(known, context));
      }
    },
    close: () => pool.close(),
  };
}
