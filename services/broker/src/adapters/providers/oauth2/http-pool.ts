import { Agent, fetch, type Dispatcher } from 'undici';
import type { HttpFetch } from './exchange.js';

/** Connections of one source: its own trust, its own limits. */
export interface HttpPool {
  readonly fetch: HttpFetch;
  /** Waits for the requests that are running. */
  close(): Promise<void>;
}

/**
 * Opens a pool of connections by undici. It follows no redirect, since that would carry the client's secret to an address
 * that nobody configured.
 *
 * @param ca PEM texts to trust instead of the system's
 * @param timeoutMs the time that a connection may take to open; for all else the caller's signal is the deadline
 */
export function openHttpPool(ca: string | undefined, timeoutMs: number): HttpPool {
  const agent = new Agent({
    connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
    headersTimeout: 0,
    bodyTimeout: 0,
    // A kept connection that the far side has closed fails the next POST, and tokens are fetched minutes apart.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 10_000,
  });
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

/** By the Fetch Standard a request is sent again after a 421; a token request is sent once. */
function sendingOnce(agent: Agent): Dispatcher {
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
