import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { portOf } from '../port-of.js';
import { readBody } from './token-endpoint-gate.js';

/** What a scripted provider answers to one request. */
export interface ScriptedReply {
  /** Default 200. */
  readonly status?: number;
  /** Default `content-type: application/json`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Text and bytes go out as they are, anything else as JSON. Default: nothing. */
  readonly body?: unknown;
  /** How long to wait before the reply, by real time. */
  readonly delayMs?: number;
  /** `reset-mid-body`: half the body, then the connection is reset. `hang`: no reply at all, until `stop`. */
  readonly fault?: 'reset-mid-body' | 'hang';
}

/** A request as the provider saw it. */
export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The fields of a form body; the last of each name. */
  readonly form: Readonly<Record<string, string>>;
  /** The body as it came. */
  readonly text: string;
}

/** An HTTP server that answers what a test tells it to: for replies that no real provider gives. */
export interface ScriptedIdentityProvider {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  /** All requests so far, the oldest first. */
  readonly requests: readonly ScriptedRequest[];
  stop(): Promise<void>;
}

/**
 * Starts a scripted provider on a free port of 127.0.0.1.
 *
 * @param script called for each request, with its number from 0
 */
export async function startScriptedIdentityProvider(
  script: (request: ScriptedRequest, index: number) => ScriptedReply | Promise<ScriptedReply>,
): Promise<ScriptedIdentityProvider> {
  const requests: ScriptedRequest[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await readBody(request);
    const form = Object.fromEntries(new URLSearchParams(text));
    const { method = '', url = '', headers } = request;
    const seen: ScriptedRequest = { method, path: url, headers, form, text };
    await sendReply(response, await script(seen, requests.push(seen) - 1));
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${String(portOf(server))}`;
  return {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    requests,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function sendReply(response: ServerResponse, reply: ScriptedReply): Promise<void> {
  if (reply.delayMs !== undefined) await sleep(reply.delayMs);
  if (reply.fault === 'hang') return;
  const body = bytesOf(reply.body);
  response.writeHead(reply.status ?? 200, {
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...reply.headers,
  });
  if (reply.fault === 'reset-mid-body') {
    await new Promise<void>((resolve) => {
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => {
        resolve();
      });
    });
    response.socket?.resetAndDestroy();
    return;
  }
  response.end(body);
}

function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
}
