import type { Redacted } from '@token-broker/foundation';
import { Agent, fetch, Pool, ProxyAgent, type Dispatcher } from 'undici';
import type { HttpFetch } from './exchange.js';
import { readProxy } from './proxy.js';

/** Connections of one source: its own trust, its own limits. */
export interface HttpPool {
  readonly fetch: HttpFetch;
  /** Waits for the requests that are running. */
  close(): Promise<void>;
}

export interface HttpPoolOptions {
  /** PEM texts to trust instead of the system's; also for a proxy that is reached by TLS. */
  readonly ca?: string | undefined;
  /** The client's own certificate (RFC 8705), as PEM texts. It is shown to identity providers, never to the proxy. */
  readonly identity?: { readonly certificate: string; readonly key: Redacted } | undefined;
  /** An HTTP proxy, asked to `CONNECT` for every request: it sees no more than hosts and ports, where they speak TLS. */
  readonly proxy?: Redacted | undefined;
  /** The time that a connection may take to open; for all else the caller's signal is the deadline. */
  readonly timeoutMs: number;
}

/**
 * Opens a pool of connections by undici. It follows no redirect, since that would carry the client's secret to an address
 * that nobody configured.
 */
export function openHttpPool(options: HttpPoolOptions): HttpPool {
  const agent = openAgent(options);
  let closed: Promise<void> | undefined;
  return {
    async fetch(url, { method, headers, body, signal }) {
      const reply = await fetch(url, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        signal,
        redirect: 'manual',
        dispatcher: sendingOnce(agent),
      });
      return { status: reply.status, headers: new Headers([...reply.headers]), body: reply.body ?? noBody() };
    },
    close: () => (closed ??= agent.close()),
  };
}

function openAgent({ ca, identity, proxy, timeoutMs }: HttpPoolOptions): Dispatcher {
  const trust = { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) };
  const tls = identity === undefined ? trust : { ...trust, cert: identity.certificate, key: identity.key.reveal() };
  const patience = {
    headersTimeout: 0,
    bodyTimeout: 0,
    // A kept connection that the far side has closed fails the next POST, and tokens are fetched minutes apart.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 10_000,
  };
  if (proxy === undefined) return new Agent({ connect: tls, ...patience });
  const { uri, authorization } = readProxy(proxy);
  return new ProxyAgent({
    uri,
    ...(authorization === undefined ? {} : { token: authorization.reveal() }),
    requestTls: tls,
    proxyTls: trust,
    // No signal ends a CONNECT that the proxy does not answer, and closing waits for it.
    clientFactory: (origin, settings) => new Pool(origin, { ...settings, headersTimeout: timeoutMs }),
    ...patience,
  });
}

/** By the Fetch Standard a request is sent again after a 421; a token request is sent once. */
function sendingOnce(agent: Dispatcher): Dispatcher {
  let isSent = false;
  return agent.compose((dispatch) => (options, handler) => {
    if (isSent) throw new Error('the identity provider does not serve this host (status 421)');
    isSent = true;
    return dispatch(options, handler);
  });
}

async function* noBody(): AsyncGenerator<Uint8Array> {
  // Nothing to read.
}
