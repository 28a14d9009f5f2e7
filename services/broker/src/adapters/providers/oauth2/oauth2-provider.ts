import { err, type Clock, type Result } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import type { IssuedToken, Provider, ProviderFailure, ProviderRequest } from '../../../app/ports/provider.js';
import type { Log } from '../../../app/ports/telemetry.js';
import { createDetail } from './detail.js';
import { createHttpFetch, Exchanges, type HttpFetch } from './exchange.js';
import { refusalOf } from './refusal.js';
import { readToken, type ReadTokenOptions } from './token-response.js';

/** Metadata of an issuer is read again after this. */
const DISCOVERY_LIFE_MS = 15 * 60 * 1_000;

export interface OAuth2ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Instead of the network. */
  readonly fetch?: HttpFetch;
}

/** Tokens by the OAuth 2.0 client credentials grant (RFC 6749 §4.4), through openid-client. */
export function createOAuth2Provider(source: OAuth2SourceConfiguration, ports: OAuth2ProviderPorts): Provider {
  return new OAuth2Provider(source, ports);
}

class OAuth2Provider implements Provider {
  readonly #source: OAuth2SourceConfiguration;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #fetch: HttpFetch;
  readonly #closeFetch: () => Promise<void>;
  readonly #detail: (text: string) => string;
  readonly #warned = new Set<string>();
  #metadata: { readonly server: oauth.ServerMetadata; readonly untilMs: number } | undefined;

  constructor(source: OAuth2SourceConfiguration, ports: OAuth2ProviderPorts) {
    this.#source = source;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#detail = createDetail(source.clientId, source.clientSecret);
    if (ports.fetch === undefined) {
      const { fetch, close } = createHttpFetch(source.ca);
      this.#fetch = fetch;
      this.#closeFetch = close;
    } else {
      this.#fetch = ports.fetch;
      this.#closeFetch = () => Promise.resolve();
    }
  }

  async fetch(request: ProviderRequest): Promise<Result<IssuedToken, ProviderFailure>> {
    const exchanges = new Exchanges(this.#fetch, this.#clock, this.#source.timeoutMs);
    try {
      const configuration = await this.#configure(exchanges);
      await oauth.clientCredentialsGrant(configuration, this.#form(request));
      return readToken(parsed(exchanges.last?.text ?? ''), this.#reading(request));
    } catch (error) {
      return err(refusalOf(error, exchanges.last, this.#clock.wallMs(), this.#detail));
    } finally {
      exchanges.close();
    }
  }

  close(): Promise<void> {
    return this.#closeFetch();
  }

  #form(request: ProviderRequest): URLSearchParams {
    const form = new URLSearchParams([...this.#source.parameters]);
    if (request.scopes.length > 0) form.set('scope', request.scopes.join(' '));
    if (request.audience !== undefined) form.set('audience', request.audience);
    if (request.resource !== undefined) form.set('resource', request.resource);
    return form;
  }

  /** The library's configuration for one call: metadata that was discovered or configured, and the call's own requests. */
  async #configure(exchanges: Exchanges): Promise<oauth.Configuration> {
    const server = await this.#serverMetadata(exchanges);
    const { clientId, clientSecret, clientAuthentication, allowInsecureHttp } = this.#source;
    const secret = clientSecret.reveal();
    const authentication =
      clientAuthentication === 'client_secret_post' ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret);
    const configuration = new oauth.Configuration(server, clientId, {}, authentication);
    configuration[oauth.customFetch] = fetchOf(exchanges);
    // The deadline of the whole call is ours.
    configuration.timeout = 0;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated so that it stands out; the configuration allows it
    if (allowInsecureHttp) oauth.allowInsecureRequests(configuration);
    return configuration;
  }

  /** Lazy; what fails is tried again by the next call. */
  async #serverMetadata(exchanges: Exchanges): Promise<oauth.ServerMetadata> {
    const { endpoint, clientId, allowInsecureHttp } = this.#source;
    if (endpoint.kind === 'token-endpoint') {
      return { issuer: new URL(endpoint.tokenEndpoint).origin, token_endpoint: endpoint.tokenEndpoint };
    }
    const nowMs = this.#clock.elapsedMs();
    if (this.#metadata !== undefined && nowMs < this.#metadata.untilMs) return this.#metadata.server;
    const discovered = await oauth.discovery(new URL(endpoint.issuer), clientId, undefined, undefined, {
      [oauth.customFetch]: fetchOf(exchanges),
      timeout: 0,
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- as above
      execute: allowInsecureHttp ? [oauth.allowInsecureRequests] : [],
    });
    this.#metadata = { server: discovered.serverMetadata(), untilMs: nowMs + DISCOVERY_LIFE_MS };
    return this.#metadata.server;
  }

  #reading(request: ProviderRequest): ReadTokenOptions {
    return {
      source: this.#source,
      scopes: request.scopes,
      detail: this.#detail,
      warn: (what) => {
        this.#warnOnce(what);
      },
    };
  }

  #warnOnce(what: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#log.warn('idp: the reply is unusual, and used', { source: this.#source.name, what });
  }
}

function fetchOf(exchanges: Exchanges): oauth.CustomFetch {
  return (url, options) => exchanges.request(url, options.method, options.headers, bodyText(options.body));
}

function bodyText(body: oauth.FetchBody): string | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  return body instanceof URLSearchParams ? body.toString() : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
