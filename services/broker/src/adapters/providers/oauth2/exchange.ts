import type { Clock } from '@token-broker/foundation';
import { Agent, fetch as undiciFetch } from 'undici';

/** The most that a reply of an identity provider may hold, after decompression. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** One HTTP request, as a port: the network in production, a script in a simulation. */
export type HttpFetch = (url: string, request: HttpRequest) => Promise<HttpReply>;

export interface HttpRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  /** Decompressed, chunk by chunk, so that a reader can stop. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What came back, whole. */
export interface Exchange {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Why there is no whole reply. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly why: 'timeout' | 'network' | 'too-large' | 'redirect';

  constructor(why: ExchangeError['why'], message: string) {
    super(message);
    this.why = why;
  }
}

/** The network, over one pool of connections for one source. */
export function createHttpFetch(ca: string | undefined): { readonly fetch: HttpFetch; close(): Promise<void> } {
  const agent = new Agent({ connect: ca === undefined ? {} : { ca } });
  return {
    fetch: async (url, request) => {
      const { method, headers, body, signal } = request;
      const reply = await undiciFetch(url, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        signal,
        redirect: 'manual',
        dispatcher: agent,
      });
      return { status: reply.status, headers: new Headers([...reply.headers]), body: reply.body ?? emptyBody() };
    },
    close: () => agent.close(),
  };
}

/**
 * The requests of one call: they share one deadline, redirects are refused, and what is read is bounded. `last` is the
 * latest whole reply, for what the OAuth library does not tell of it.
 */
export class Exchanges {
  readonly #fetch: HttpFetch;
  readonly #aborter = new AbortController();
  readonly #cancel: () => void;
  #last: Exchange | undefined;

  constructor(fetch: HttpFetch, clock: Clock, timeoutMs: number) {
    this.#fetch = fetch;
    const timer = clock.startTimer(timeoutMs, () => {
      this.#aborter.abort();
    });
    this.#cancel = () => {
      timer.cancel();
    };
  }

  get last(): Exchange | undefined {
    return this.#last;
  }

  /** Ends the deadline. */
  close(): void {
    this.#cancel();
  }

  async request(
    url: string,
    method: string,
    headers: Record<string, string>,
    body: string | undefined,
  ): Promise<Response> {
    this.#last = undefined;
    const { signal } = this.#aborter;
    try {
      const reply = await this.#fetch(url, { method, headers, ...(body === undefined ? {} : { body }), signal });
      if (reply.status >= 300 && reply.status < 400) {
        throw new ExchangeError('redirect', `the identity provider redirects (status ${String(reply.status)})`);
      }
      const text = await readBounded(reply.body);
      this.#last = { url, status: reply.status, headers: reply.headers, text };
      const isBodyless = reply.status === 204 || reply.status === 205;
      return new Response(isBodyless ? null : text, { status: reply.status, headers: reply.headers });
    } catch (error) {
      if (error instanceof ExchangeError) throw error;
      if (signal.aborted) throw new ExchangeError('timeout', 'the identity provider did not answer in time');
      throw new ExchangeError('network', causeOf(error));
    }
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES)
      throw new ExchangeError('too-large', `the reply is larger than ${String(MAX_REPLY_BYTES)} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** undici says "fetch failed" and keeps the reason in a chain of causes. */
function causeOf(error: unknown): string {
  let innermost: unknown = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  return innermost instanceof Error ? innermost.message : String(innermost);
}

async function* emptyBody(): AsyncIterable<Uint8Array> {
  // Nothing to read.
}
