import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

/** A request as the endpoint saw it. */
export interface JsonRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** `undefined`: there was none, or it was no JSON. */
  readonly body: unknown;
}

export interface JsonReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes out as it is, anything else as JSON; `undefined`: nothing. */
  readonly body?: unknown;
  /** `break`: a part of the body, then the connection is reset. `hang`: no reply at all. */
  readonly fault?: 'break' | 'hang';
}

/** An HTTP server on a free port of 127.0.0.1 that speaks JSON; it ends with the test. Its URL. */
export async function startJsonEndpoint(answer: (request: JsonRequest) => Promise<JsonReply>): Promise<string> {
  const reply = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = incoming;
    const body = parsed(Buffer.concat(chunks).toString());
    const { status, headers: more, body: said, fault } = await answer({ method, path: url, headers, body });
    if (fault === 'hang') return;
    const text = said === undefined ? '' : typeof said === 'string' ? said : JSON.stringify(said);
    response.writeHead(status, {
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...more,
    });
    if (fault === 'break') response.write(text.slice(0, 10), () => response.socket?.resetAndDestroy());
    else response.end(text);
  };
  const server = createServer((incoming, response) => {
    reply(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const address = server.address();
  return `http://127.0.0.1:${String(typeof address === 'object' && address !== null ? address.port : 0)}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
