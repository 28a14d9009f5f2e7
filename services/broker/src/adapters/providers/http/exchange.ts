/** The most that a reply of an identity provider may hold, after decompression. */
export const MAX_REPLY_BYTES = 1024 * 1024;

/** One HTTP request, as a port: the network in production, a script in a simulation. */
export type HttpFetch = (url: string, request: HttpRequest) => Promise<HttpReply>;

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Aborted when nobody waits for the reply any more, nor reads the rest of one. */
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
 * One HTTP request and its whole reply. Redirects are refused, and what is read is bounded.
 *
 * @param request its `signal` ends the wait, as far as `fetch` obeys it
 * @throws {ExchangeError} where there is no whole reply: the caller aborts `signal`, which closes the connection of one that was
 *   not read to its end
 */
export async function exchange(fetch: HttpFetch, url: string, request: HttpRequest): Promise<Exchange> {
  try {
    const { status, headers, body } = await fetch(url, request);
    if (status >= 300 && status < 400) {
      // Without its query, which may repeat what was sent.
      const location = headers.get('location')?.split(/[?#]/, 1)[0] ?? 'none';
      throw new ExchangeError('redirect', `status ${String(status)}, location: ${location}`);
    }
    return { status, headers, text: await readBounded(body) };
  } catch (error) {
    throw exchangeErrorOf(error, request.signal);
  }
}

function exchangeErrorOf(error: unknown, signal: AbortSignal): ExchangeError {
  if (error instanceof ExchangeError) return error;
  return signal.aborted
    ? new ExchangeError('timeout', 'no whole reply in time')
    : new ExchangeError('network', innermostMessage(error));
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
export function innermostMessage(error: unknown): string {
  let innermost = error;
  // Bounded, since a chain may be a circle.
  for (let depth = 0; depth < 8 && innermost instanceof Error && innermost.cause instanceof Error; depth++) {
    innermost = innermost.cause;
  }
  if (innermost instanceof AggregateError) return innermost.errors.map(innermostMessage).join('; ');
  return innermost instanceof Error ? innermost.message : String(innermost);
}
