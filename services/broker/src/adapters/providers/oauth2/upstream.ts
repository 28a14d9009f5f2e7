import { err, ok, type Clock, type Redacted, type Result } from '@token-broker/foundation';
import { secretsOf, type OAuth2SourceConfiguration } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { createDetailOfCalls } from '../detail.js';
import type { Exchange, HttpFetch } from '../http/exchange.js';
import { failureOfExchange } from '../http/http-failure.js';
import { openHttpPool } from '../http/http-pool.js';
import { readProxy } from '../http/proxy.js';
import { createClientProofs, type ClientProof } from './client-authentication.js';
import { Exchanges } from './exchanges.js';
import { libraryFetch, tokenRequestFetch } from './library-fetch.js';
import { refusalWithoutRequest, type RefusalContext } from './refusal.js';
import { ServerMetadataReader } from './server-metadata.js';

export interface UpstreamPorts {
  readonly clock: Clock;
  /** HTTP. Default: the network. */
  readonly fetch?: HttpFetch;
}

/** What a call is for, and what it carries that must be in no log line. */
export interface CallOptions {
  readonly asked: RefusalContext['asked'];
  readonly given: readonly (Redacted | undefined)[];
  readonly spendsRefreshToken?: boolean;
}

/** One call of the identity provider, under way. */
export interface UpstreamCall {
  readonly server: oauth.ServerMetadata;
  /** Makes one request by openid-client. What came back, and what the library objects to, if anything. */
  readonly attempt: (
    request: (configuration: oauth.Configuration) => Promise<unknown>,
  ) => Promise<Result<Attempt, ProviderFailure>>;
  readonly context: () => RefusalContext;
}

export interface Attempt {
  readonly reply: Exchange;
  /** What the library throws; undefined: it has taken the reply. */
  readonly objection: unknown;
}

/** One source's way to its identity provider: connections, endpoints, and the proof of who the client is. */
export class Upstream {
  readonly source: OAuth2SourceConfiguration;
  readonly clock: Clock;
  readonly fetch: HttpFetch;
  readonly metadata: ServerMetadataReader;
  /** Makes a text fit for the log. */
  readonly detail: (text: string) => string;
  readonly #closeHttp: () => Promise<void>;
  readonly #detailOf: ReturnType<typeof createDetailOfCalls>;
  readonly #proofs: () => Promise<ClientProof>;
  readonly #running = new Set<Promise<unknown>>();

  constructor(source: OAuth2SourceConfiguration, { clock, fetch }: UpstreamPorts) {
    const { clientAuthentication, ca, proxy, timeoutMs, clientId } = source;
    this.source = source;
    this.clock = clock;
    const identity = clientAuthentication.kind === 'tls_client_auth' ? clientAuthentication : undefined;
    const http =
      fetch === undefined
        ? openHttpPool({ ca, identity, proxy, timeoutMs })
        : { fetch, close: () => Promise.resolve() };
    this.fetch = http.fetch;
    this.#closeHttp = () => http.close();
    const secrets = [...secretsOf(source), ...(proxy === undefined ? [] : readProxy(proxy).secrets)];
    this.#detailOf = createDetailOfCalls(clientId, secrets);
    this.detail = this.#detailOf([]);
    this.metadata = new ServerMetadataReader({ ...source, needs: 'token_endpoint' }, this);
    this.#proofs = createClientProofs(source, clock);
  }

  /**
   * Runs one call within the source's `timeoutMs`, discovery counted. It never rejects: what `work` throws is a request that
   * could not be made.
   */
  async call<T>(
    options: CallOptions,
    work: (call: UpstreamCall) => Promise<Result<T, ProviderFailure>>,
  ): Promise<Result<T, ProviderFailure>> {
    const running = this.#run(options, work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Waits for the calls that are running: one may be between its discovery and its request. */
  async close(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#closeHttp();
  }

  async #run<T>(
    options: CallOptions,
    work: (call: UpstreamCall) => Promise<Result<T, ProviderFailure>>,
  ): Promise<Result<T, ProviderFailure>> {
    // First of all: discovery counts too.
    const exchanges = new Exchanges(this.fetch, this.clock, this.source.timeoutMs);
    const detail = this.#detailOf(options.given);
    const context = (): RefusalContext => ({
      asked: options.asked,
      wallMs: this.clock.wallMs(),
      detail,
      spendsRefreshToken: options.spendsRefreshToken === true,
    });
    try {
      const server = await this.metadata.read();
      if (!server.ok) return server;
      const outcome = await work({
        server: server.value,
        attempt: (request) => this.#attempt(server.value, exchanges, request, context),
        context,
      });
      if (!outcome.ok && outcome.error.code === 'IDP_PROTOCOL') this.metadata.forget();
      return outcome;
    } catch (error) {
      return err(refusalWithoutRequest(error, context()));
    } finally {
      exchanges.close();
    }
  }

  async #attempt(
    server: oauth.ServerMetadata,
    exchanges: Exchanges,
    request: (configuration: oauth.Configuration) => Promise<unknown>,
    context: () => RefusalContext,
  ): Promise<Result<Attempt, ProviderFailure>> {
    let objection: unknown;
    try {
      await request(await this.#configure(server, exchanges, context().asked));
    } catch (error) {
      objection = error;
    }
    if (exchanges.failure !== undefined) return err(failureOfExchange(exchanges.failure, context()));
    const reply = exchanges.last;
    return reply === undefined ? err(refusalWithoutRequest(objection, context())) : ok({ reply, objection });
  }

  /** One for each call, since it carries the call's own requests. */
  async #configure(
    server: oauth.ServerMetadata,
    exchanges: Exchanges,
    asked: RefusalContext['asked'],
  ): Promise<oauth.Configuration> {
    const { authentication, metadata } = await this.#proofs();
    const configuration = new oauth.Configuration(server, this.source.clientId, metadata, authentication);
    configuration[oauth.customFetch] =
      asked === 'the token request' ? tokenRequestFetch(exchanges) : libraryFetch(exchanges);
    configuration.timeout = 0;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated so that it stands out; the configuration allows it
    if (this.source.allowInsecureHttp) oauth.allowInsecureRequests(configuration);
    return configuration;
  }
}
