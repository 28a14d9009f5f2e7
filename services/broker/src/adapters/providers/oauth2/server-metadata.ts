import { err, ok, SingleFlight, type Clock, type Result } from '@token-broker/foundation';
import type { OAuth2Endpoint } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { HttpFetch } from '../http/exchange.js';
import { failureOfExchange } from '../http/http-failure.js';
import { Exchanges } from './exchanges.js';
import { libraryFetch } from './library-fetch.js';
import { refusalOf, refusalWithoutRequest, type RefusalContext } from './refusal.js';

/** The metadata of an issuer is read again after this. */
const LIFE_MS = 15 * 60 * 1_000;

export interface ServerMetadataPorts {
  readonly clock: Clock;
  readonly fetch: HttpFetch;
  readonly detail: (text: string) => string;
}

/** What is asked for metadata. */
export interface ServerMetadataOptions {
  readonly endpoint: OAuth2Endpoint;
  readonly clientId: string;
  readonly allowInsecureHttp: boolean;
  readonly timeoutMs: number;
  /** Metadata without it are of no use, and are not kept. */
  readonly needs: 'token_endpoint' | 'jwks_uri';
}

/**
 * Where the endpoints are: as configured, or as the issuer's metadata say (OpenID Discovery; where there is none,
 * RFC 8414). Metadata are read when they are first needed and kept for 15 minutes. Calls at one moment share one
 * discovery; its failure is theirs alone, and the next call tries again.
 */
export class ServerMetadataReader {
  readonly #options: ServerMetadataOptions;
  readonly #ports: ServerMetadataPorts;
  readonly #flight = new SingleFlight<Result<oauth.ServerMetadata, ProviderFailure>>();
  readonly #where: oauth.ServerMetadata | URL;
  #kept: { readonly server: oauth.ServerMetadata; readonly untilMs: number } | undefined;

  constructor(options: ServerMetadataOptions, ports: ServerMetadataPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#where = whereIs(options.endpoint);
  }

  /** Ends within `timeoutMs`. */
  async read(): Promise<Result<oauth.ServerMetadata, ProviderFailure>> {
    const where = this.#where;
    if (!(where instanceof URL)) return ok(where);
    if (this.#kept !== undefined && this.#ports.clock.elapsedMs() < this.#kept.untilMs) return ok(this.#kept.server);
    return this.#flight.join('', () => this.#discover(where));
  }

  /** An endpoint does not behave like one: it may have moved. */
  forget(): void {
    this.#kept = undefined;
  }

  async #discover(issuer: URL): Promise<Result<oauth.ServerMetadata, ProviderFailure>> {
    const { clock, fetch, detail } = this.#ports;
    const exchanges = new Exchanges(fetch, clock, this.#options.timeoutMs);
    const context: RefusalContext = { asked: 'discovery', wallMs: clock.wallMs(), detail };
    try {
      const server = await this.#request(issuer, exchanges);
      const problem = this.#problemOf(server);
      if (problem !== undefined) return err({ code: 'IDP_PROTOCOL', message: problem, detail: detail(problem) });
      this.#kept = { server, untilMs: clock.elapsedMs() + LIFE_MS };
      return ok(server);
    } catch (error) {
      if (exchanges.failure !== undefined) return err(failureOfExchange(exchanges.failure, context));
      if (exchanges.last !== undefined) return err(refusalOf(exchanges.last, error, context));
      return err(refusalWithoutRequest(error, context));
    } finally {
      exchanges.close();
    }
  }

  async #request(issuer: URL, exchanges: Exchanges): Promise<oauth.ServerMetadata> {
    const discover = async (algorithm: 'oidc' | 'oauth2'): Promise<oauth.ServerMetadata> => {
      const discovered = await oauth.discovery(issuer, this.#options.clientId, undefined, oauth.None(), {
        algorithm,
        [oauth.customFetch]: libraryFetch(exchanges),
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated so that it stands out; the configuration allows it
        execute: this.#options.allowInsecureHttp ? [oauth.allowInsecureRequests] : [],
      });
      return discovered.serverMetadata();
    };
    try {
      return await discover('oidc');
    } catch (error) {
      if (exchanges.last?.status !== 404) throw error;
      return discover('oauth2');
    }
  }

  /** Found here rather than by the request itself, so that unusable metadata are not kept. */
  #problemOf(server: oauth.ServerMetadata): string | undefined {
    const { needs, allowInsecureHttp } = this.#options;
    const name = needs === 'token_endpoint' ? 'token endpoint' : 'key set';
    const address = server[needs];
    if (typeof address !== 'string' || !URL.canParse(address)) return `the issuer's metadata name no ${name}`;
    const { protocol } = new URL(address);
    const isAllowed = protocol === 'https:' || (protocol === 'http:' && allowInsecureHttp);
    return isAllowed ? undefined : `the issuer's metadata name a ${name} that is not https://`;
  }
}

/** What the configuration says of the endpoints, or the issuer that has to be asked. */
function whereIs(endpoint: OAuth2Endpoint): oauth.ServerMetadata | URL {
  if (endpoint.kind === 'issuer') return new URL(endpoint.issuer);
  const { tokenEndpoint, revocationEndpoint, introspectionEndpoint } = endpoint;
  return {
    issuer: new URL(tokenEndpoint).origin,
    token_endpoint: tokenEndpoint,
    ...(revocationEndpoint === undefined ? {} : { revocation_endpoint: revocationEndpoint }),
    ...(introspectionEndpoint === undefined ? {} : { introspection_endpoint: introspectionEndpoint }),
  };
}
