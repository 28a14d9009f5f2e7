import type { Clock } from '@token-broker/foundation';

/** The most that a reply of an identity provider may hold, after decompression. */
export const MAX_REPLY_BYTES = 1024 * 1024;

/** One HTTP request, as a port: the network in production, a script in a simulation. */
export type HttpFetch = (url: string, request: HttpRequest) => Promise<HttpReply>;

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Aborted when nobody waits for the reply any more. */
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

/**
 * The HTTP requests of one call, one after the other: they share one deadline, redirects are refused, and what is read is
 * bounded. It keeps the latest outcome, since the OAuth library tells only a part of it.
 */
export class Exchanges {
  readonly #fetch: HttpFetch;
  readonly #aborter = new AbortController();
  readonly #expiry: Promise<never>;
  readonly #cancelExpiry: () => void;
  #last: Exchange | undefined;
  #failure: ExchangeError | undefined;

  constructor(fetch: HttpFetch, clock: Clock, timeoutMs: number) {
    this.#fetch = fetch;
    let expire = (): void => undefined;
    this.#expiry = new Promise<never>((_, reject) => {
      expire = () => {
        reject(new ExchangeError('timeout', `no whole reply within ${String(timeoutMs)} ms`));
        this.#aborter.abort();
      };
    });
    // Time may run out between two requests, when nobody listens.
    this.#expiry.catch(() => undefined);
    const timer = clock.startTimer(timeoutMs, expire);
    this.#cancelExpiry = () => {
      timer.cancel();
    };
  }

  /** The latest reply, if the latest request got a whole one. */
  get last(): Exchange | undefined {
    return this.#last;
  }

  /** Why the latest request got none. */
  get failure(): ExchangeError | undefined {
    return this.#failure;
  }

  /** Ends the deadline. Nothing may be requested afterwards. */
  close(): void {
    this.#cancelExpiry();
  }

  async request(url: string, request: Omit<HttpRequest, 'signal'>): Promise<Response> {
    this.#last = undefined;
    this.#failure = undefined;
    try {
      // A race, so that the deadline holds whether or not the other side of the port obeys the signal.
      const { status, headers, text } = await Promise.race([this.#exchange(url, request), this.#expiry]);
      const response = new Response(status === 204 || status === 205 ? null : text, { status, headers });
      this.#last = { status, headers, text };
      return response;
    } catch (error) {
      this.#failure = error instanceof ExchangeError ? error : new ExchangeError('network', innermostMessage(error));
      // Also closes the connection of a reply that was not read to its end.
      this.#aborter.abort();
      throw this.#failure;
    }
  }

  async #exchange(url: string, request: Omit<HttpRequest, 'signal'>): Promise<Exchange> {
    const { signal } = this.#aborter;
    if (signal.aborted) return this.#expiry;
    const { status, headers, body } = await this.#fetch(url, { ...request, signal });
    if (status >= 300 && status < 400) {
      // Without its query, which may repeat what was sent.
      const location = headers.get('location')?.split(/[?#]/, 1)[0] ?? 'none';
      throw new ExchangeError('redirect', `status ${String(status)}, location: ${location}`);
    }
    return { status, headers, text: await readBounded(body) };
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES) throw new ExchangeError('too-large', `more than ${String(MAX_REPLY_BYTES)} bytes`);
    chunks.push(chunk);
  }
  // Unlike `toString`, this takes a byte order mark away.
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** undici says "fetch failed" and keeps the reason in a chain of causes; several addresses fail as one aggregate. */
function innermostMessage(error: unknown): string {
  let innermost = error;
  // Bounded, since a chain may be a circle.
  for (let depth = 0; depth < 8 && innermost instanceof Error && innermost.cause instanceof Error; depth++) {
    innermost = innermost.cause;
  }
  if (innermost instanceof AggregateError) return innermost.errors.map(innermostMessage).join('; ');
  return innermost instanceof Error ? innermost.message : String(innermost);
}
