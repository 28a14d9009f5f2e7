import { systemRandom, type Clock, type Random } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../../../app/ports/provider.js';
import type { Log } from '../../../app/ports/telemetry.js';
import type { HttpFetch } from '../http/exchange.js';
import { revokeToken } from './revocation.js';
import { createSubjectReader } from './subject-token.js';
import { createTokenRequests } from './token-request.js';
import type { Oddity } from './token-response.js';
import { Upstream } from './upstream.js';

export interface OAuth2ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** HTTP. Default: the network. */
  readonly fetch?: HttpFetch;
  /** For the ids of assertions. Default: the operating system's. */
  readonly random?: Random;
}

/** An implementation that has every method, and keeps the deadline by itself. */
export type OAuth2Provider = Omit<Provider, 'capabilities'>;

/**
 * Tokens of an OAuth 2.0 authorization server, through openid-client: by client credentials and by refresh tokens
 * (RFC 6749 §4.4, §6), by assertions (RFC 7523) and in exchange for other tokens (RFC 8693).
 */
export function createOAuth2Provider(source: OAuth2SourceConfiguration, ports: OAuth2ProviderPorts): OAuth2Provider {
  const { clock, log, random = systemRandom } = ports;
  const upstream = new Upstream(source, ports);
  const warned = new Set<Oddity>();
  const warn = (what: Oddity): void => {
    if (warned.has(what)) return;
    warned.add(what);
    log.warn('idp: an odd reply was taken', { source: source.name, what });
  };
  return {
    fetch: createTokenRequests(upstream, { clock, random, warn }),
    revoke: (accessToken) => revokeToken(upstream, accessToken),
    readSubject: createSubjectReader(upstream),
    close: () => upstream.close(),
  };
}
