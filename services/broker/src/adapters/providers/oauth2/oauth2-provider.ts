import { err, ok, type Clock, type Result } from '@token-broker/foundation';
import { secretsOf, type ClientAuthentication, type OAuth2SourceConfiguration } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import type { IssuedToken, Provider, ProviderFailure, ProviderRequest, Subject } from '../../../app/ports/provider.js';
import type { Log } from '../../../app/ports/telemetry.js';
import { createDetail } from './detail.js';
import { Exchanges, type HttpFetch } from './exchange.js';
import { openHttpPool } from './http-pool.js';
import { libraryFetch } from './library-fetch.js';
import { oauthErrorIn, refusalOf, refusalOfExchange, refusalWithoutRequest, type RefusalContext } from './refusal.js';
import { ServerMetadataReader } from './server-metadata.js';
import { readToken, type Oddity } from './token-response.js';

export interface OAuth2ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** HTTP. Default: the network. */
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
  readonly #closeHttp: () => Promise<void>;
  readonly #detail: (text: string) => string;
  readonly #metadata: ServerMetadataReader;
  readonly #warned = new Set<Oddity>();

  constructor(source: OAuth2SourceConfiguration, { clock, log, fetch }: OAuth2ProviderPorts) {
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
    const http =
      fetch === undefined ? openHttpPool(source.ca, source.timeoutMs) : { fetch, close: () => Promise.resolve() };
    this.#fetch = http.fetch;
    this.#closeHttp = () => http.close();
    this.#detail = createDetail(source.clientId, secretsOf(source));
    this.#metadata = new ServerMetadataReader(source, { clock, fetch: http.fetch, detail: this.#detail });
  }

  async fetch(request: ProviderRequest): Promise<Result<IssuedToken, ProviderFailure>> {
    // First of all: discovery counts too.
    const exchanges = new Exchanges(this.#fetch, this.#clock, this.#source.timeoutMs);
    try {
      const server = await this.#metadata.read();
      if (!server.ok) return server;
      const issued = await this.#grant(server.value, request, exchanges);
      if (!issued.ok && issued.error.code === 'IDP_PROTOCOL') this.#metadata.forget();
      return issued;
    } catch (error) {
      return err(refusalWithoutRequest(error, this.#context()));
    } finally {
      exchanges.close();
    }
  }

  revoke(): Promise<Result<'revoked' | 'unsupported', ProviderFailure>> {
    return Promise.resolve(ok('unsupported'));
  }

  readSubject(): Promise<Result<Subject | undefined, ProviderFailure>> {
    return Promise.resolve(ok(undefined));
  }

  async close(): Promise<void> {
    await this.#closeHttp();
  }

  async #grant(
    server: oauth.ServerMetadata,
    request: ProviderRequest,
    exchanges: Exchanges,
  ): Promise<Result<IssuedToken, ProviderFailure>> {
    let objection: unknown;
    try {
      await oauth.clientCredentialsGrant(this.#configure(server, exchanges), this.#form(request));
    } catch (error) {
      objection = error;
    }
    if (exchanges.failure !== undefined) return err(refusalOfExchange(exchanges.failure, this.#context()));
    const reply = exchanges.last;
    if (reply === undefined) return err(refusalWithoutRequest(objection, this.#context()));
    if (reply.status === 200 && oauthErrorIn(reply) === undefined) {
      // Our reading comes first: it names what is wrong. What it takes, the library must have taken too.
      const token = readToken(reply.text, {
        source: this.#source,
        scopes: request.scopes,
        detail: this.#detail,
        warn: (what) => {
          this.#warnOnce(what);
        },
      });
      if (!token.ok || objection === undefined) return token;
    }
    return err(refusalOf(reply, objection, this.#context()));
  }

  #form({ scopes, audience, resource }: ProviderRequest): URLSearchParams {
    const form = new URLSearchParams([...this.#source.parameters]);
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    if (audience !== undefined) form.set('audience', audience);
    // RFC 8707.
    if (resource !== undefined) form.set('resource', resource);
    return form;
  }

  /** One for each call, since it carries the call's own requests. */
  #configure(server: oauth.ServerMetadata, exchanges: Exchanges): oauth.Configuration {
    const { clientId, clientAuthentication, allowInsecureHttp } = this.#source;
    const configuration = new oauth.Configuration(server, clientId, undefined, authenticationOf(clientAuthentication));
    configuration[oauth.customFetch] = libraryFetch(exchanges);
    configuration.timeout = 0;
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated so that it stands out; the configuration allows it
    if (allowInsecureHttp) oauth.allowInsecureRequests(configuration);
    return configuration;
  }

  #context(): RefusalContext {
    return { asked: 'the token request', wallMs: this.#clock.wallMs(), detail: this.#detail };
  }

  #warnOnce(what: Oddity): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#log.warn('idp: an odd reply was taken', { source: this.#source.name, what });
  }
}

function authenticationOf(authentication: ClientAuthentication): oauth.ClientAuth {
  switch (authentication.kind) {
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(authentication.clientSecret.reveal());
    case 'client_secret_post':
      return oauth.ClientSecretPost(authentication.clientSecret.reveal());
    default:
      throw new Error(`the client authentication ${authentication.kind} is not implemented`);
  }
}
