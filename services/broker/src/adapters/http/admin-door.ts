import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server as TlsServer } from 'node:tls';
import type { AdminDoorConfiguration } from '@token-broker/configuration';
import { within, type Clock } from '@token-broker/foundation';
import { encode, ERRORS, failure, isErrorCode, LIMITS, type ErrorCode } from '@token-broker/protocol';
import type { Audit } from '../../app/ports/audit.js';
import type { ServiceRequest } from '../../app/ports/bus.js';
import type { Log, Metrics } from '../../app/ports/telemetry.js';
import { readTraceContext } from '../../domain/trace-context.js';
import { readBody } from './body.js';
import { callerOf } from './door-credentials.js';
import { createRefusedAttempts } from './refused-attempts.js';

const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 50;
/** The time in which a request must have arrived. */
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
/** A connection on which nothing happens for so long is left: longer than a revocation may wait: for successors, near caches and identity providers. */
const SILENCE_MS = 3 * LIMITS.deadlineMs + 60_000;
const MAX_CONNECTIONS = 100;
const MAX_UNDER_WAY = 32;
const RETRY_AFTER_MS = 1_000;
const TOO_MANY_MS = 10_000;

const PATH = /^\/v1\/admin\/([A-Za-z0-9_-]{1,64})$/;

export interface AdminDoorOptions {
  readonly configuration: AdminDoorConfiguration;
  /** Answers what a caller asks: the same code as over NATS. It checks whether the caller is an operator. */
  readonly handle: (request: Omit<ServiceRequest, 'verb'>) => Promise<Uint8Array>;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Pick<Metrics, 'httpRefused'>;
}

/** The operators' verbs over HTTP. */
export interface AdminDoor {
  /** As it listens now. */
  readonly address: { readonly host: string; readonly port: number };
  /** Takes over credentials and certificates; where it listens stays. */
  update(configuration: AdminDoorConfiguration): void;
  /** Takes no more requests, and answers those under way, for at most `limitMs`. */
  close(limitMs: number): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Serves `POST /v1/admin/<verb>`: the bodies and replies of the NATS subjects, the status by the table of errors. Who asks is
 * found out before anything of the request is read but its head.
 *
 * @throws {Error} where the address cannot be listened on
 */
export async function createAdminDoor(options: AdminDoorOptions): Promise<AdminDoor> {
  const { handle, clock, log, audit, metrics } = options;
  const refused = createRefusedAttempts(clock, audit);
  let { configuration } = options;
  let underWay = 0;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const caller = callerOf(request, configuration);
    if (caller === undefined) {
      metrics.httpRefused();
      const isTooMany = refused.note(request.socket.remoteAddress ?? 'unknown');
      return isTooMany ? TOO_MANY : UNKNOWN;
    }
    const [path = ''] = (request.url ?? '').split('?', 1);
    const [, verb] = PATH.exec(path) ?? [];
    if (verb === undefined) return refusal(404, 'BAD_REQUEST', 'there is nothing here but /v1/admin/<verb>');
    if (request.method !== 'POST') return NOT_POST;
    // A browser that holds a client certificate must not be led here by a form of another site.
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      return refusal(415, 'BAD_REQUEST', 'the content type is not application/json');
    if (underWay >= MAX_UNDER_WAY)
      return refusal(503, 'BROKER_UNAVAILABLE', 'this broker has too many requests under way', RETRY_AFTER_MS);
    underWay++;
    try {
      const body = await readBody(request, LIMITS.requestBytes);
      if (body === undefined)
        return refusal(413, 'BAD_REQUEST', `the body has more than ${String(LIMITS.requestBytes)} bytes`);
      const { traceparent, tracestate } = request.headers;
      const trace = readTraceContext([traceparent].flat()[0], [tracestate].flat().join(','));
      const reply = await handle({
        caller,
        target: verb,
        subject: path,
        body,
        ...(trace === undefined ? {} : { trace }),
      });
      return answerOf(reply);
    } finally {
      underWay--;
    }
  };

  const receive = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request).then(
      (reply) => send(request, response, reply),
      (error: unknown) => {
        // Whoever left while the body was read hears nothing; nothing was done.
        if (request.destroyed && !request.complete) return;
        log.error('an operators’ request over HTTP failed', { detail: error instanceof Error ? error.message : '' });
        send(request, response, refusal(500, 'INTERNAL', 'the broker failed to answer this request'));
      },
    );
  };

  const server = serverOf(configuration, receive);
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(SILENCE_MS);
  await listening(server, configuration, log);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the operators’ door has no address');

  return {
    address: { host: bound.address, port: bound.port },
    update(changed) {
      if ((changed.tls === undefined) !== (configuration.tls === undefined)) {
        log.warn('http: TLS of the operators’ door is turned on or off by a restart alone');
        return;
      }
      configuration = changed;
      if (changed.tls !== undefined && server instanceof TlsServer) server.setSecureContext(secretsOf(changed.tls));
    },
    async close(limitMs) {
      refused.flush();
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await within(clock, limitMs, closed);
      server.closeAllConnections();
    },
  };
}

function serverOf(
  { tls }: AdminDoorConfiguration,
  receive: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const bounds = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1_000,
  };
  if (tls === undefined) return createServer(bounds, receive);
  return createTlsServer(
    {
      ...bounds,
      ...secretsOf(tls),
      minVersion: 'TLSv1.2',
      handshakeTimeout: REQUEST_MS,
      requestCert: tls.clientCa !== undefined,
      // A certificate that nobody signed is looked at like none: others come with a token.
      rejectUnauthorized: false,
    },
    receive,
  );
}

function secretsOf({ cert, key, clientCa }: NonNullable<AdminDoorConfiguration['tls']>): {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
} {
  return { cert, key: key.reveal(), ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

function listening(server: Server, { listen }: AdminDoorConfiguration, log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port }, () => {
      server.off('error', reject);
      server.on('error', (error) => log.error('the operators’ door failed', { detail: error.message }));
      resolve();
    });
  });
}

/** The status of a reply is that of its error, where it is one. */
function answerOf(reply: Uint8Array): Answer {
  const { error } = JSON.parse(Buffer.from(reply).toString('utf8')) as {
    readonly error?: { readonly code: string; readonly retryAfterMs?: number };
  };
  if (error === undefined) return { status: 200, body: reply };
  const status = isErrorCode(error.code) ? ERRORS[error.code].httpStatus : 500;
  return {
    status,
    body: reply,
    ...(error.retryAfterMs === undefined ? {} : { headers: retryAfter(error.retryAfterMs) }),
  };
}

function refusal(status: number, code: ErrorCode, message: string, retryAfterMs?: number): Answer {
  return {
    status,
    body: encode({ v: 1, error: failure(code, message, retryAfterMs) }),
    ...(retryAfterMs === undefined ? {} : { headers: retryAfter(retryAfterMs) }),
  };
}

function retryAfter(ms: number): Readonly<Record<string, string>> {
  return { 'retry-after': String(Math.ceil(ms / 1_000)) };
}

const UNKNOWN: Answer = {
  ...refusal(401, 'FORBIDDEN', 'no token or client certificate of an operator'),
  headers: { 'www-authenticate': 'Bearer' },
};
const TOO_MANY = refusal(429, 'FORBIDDEN', 'too many requests without credentials that count', TOO_MANY_MS);
const NOT_POST: Answer = { ...refusal(405, 'BAD_REQUEST', 'only POST'), headers: { allow: 'POST' } };

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Answer): void {
  // What is left of a body that was refused is read away within the time of the request, and the connection ends.
  request.resume();
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(request.complete ? {} : { connection: 'close' }),
    ...headers,
  });
  response.end(body);
}
