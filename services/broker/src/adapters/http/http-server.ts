import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Log } from '../../app/ports/telemetry.js';

/** Bounds of a request: there is no body to read, so little of either is needed. */
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 50;
const REQUEST_MS = 5_000;
const KEEP_ALIVE_MS = 5_000;
/** A reader that takes nothing for so long is left, so that it cannot hold up `close` either. */
const SILENCE_MS = 10_000;
const MAX_CONNECTIONS = 200;

/** What `/readyz` tells. A check that is not well says why, in a few words. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, string>>;
}

export interface HttpServerOptions {
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly metrics: { render(): Promise<{ readonly contentType: string; readonly body: string }> };
  /** Whether the process does its work at all; if not it should be restarted. */
  readonly isLive: () => boolean;
  /** Whether requests should be sent here now. */
  readonly readiness: () => Readiness;
  readonly log: Log;
}

/** The broker's HTTP door for machines that watch it. */
export interface HttpServer {
  /** As it listens now. */
  readonly address: { readonly host: string; readonly port: number };
  /** Ends the connections that are idle, lets running answers finish, and stops listening. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Route = () => Answer | Promise<Answer>;

/**
 * Serves `/metrics`, `/livez` and `/readyz` (503 where the answer is no). Nothing here needs or shows a secret, and
 * nothing changes anything: only GET and HEAD.
 *
 * @throws {Error} where the address cannot be listened on
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, metrics, isLive, readiness, log } = options;

  const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
    [
      '/metrics',
      async () => {
        const { contentType, body } = await metrics.render();
        return { status: 200, contentType, body };
      },
    ],
    ['/livez', () => (isLive() ? json(200, { status: 'ok' }) : json(503, { status: 'failed' }))],
    [
      '/readyz',
      () => {
        const { ready, checks } = readiness();
        return json(ready ? 200 : 503, { status: ready ? 'ok' : 'not ready', checks });
      },
    ],
  ]);

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const [path = ''] = (request.url ?? '').split('?', 1);
    const route = routes.get(path);
    if (route === undefined) return json(404, { error: 'not found' });
    if (!isReading(request)) return json(405, { error: 'only GET and HEAD' });
    try {
      return await route();
    } catch (error) {
      log.error('an HTTP request failed', { path, detail: error instanceof Error ? error.message : 'not an error' });
      return json(500, { error: 'internal' });
    }
  };

  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      // A body is of no use here: it is read away within the time of the request, never kept.
      request.resume();
      void answer(request).then((reply) => send(request, response, reply));
    },
  );
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(SILENCE_MS);

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port }, () => {
      server.off('error', reject);
      server.on('error', (error) => log.error('the HTTP server failed', { detail: error.message }));
      resolve();
    });
  });

  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the HTTP server has no address');
  return {
    address: { host: bound.address, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        // Idle connections are closed by this; the only error would be that it was closed before.
        server.close(() => resolve());
      }),
  };
}

function isReading({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function send(request: IncomingMessage, response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}
