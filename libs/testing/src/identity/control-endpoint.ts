import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Login } from './issued-by-login.js';
import { readBody, type TokenEndpointControls } from './token-endpoint-gate.js';

/**
 * What `POST /control` takes: each field that is given is carried out. `GET /counts` answers with the counts as JSON, and
 * `POST /refresh-token`, for a {@link Login} as JSON, with `{"refreshToken": …}` where control is allowed.
 */
export interface ControlRequest {
  readonly delayTokenMs?: number;
  readonly failNext?: {
    readonly count: number;
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly hanging?: boolean;
  readonly resetCounts?: boolean;
}

export interface ControlEndpointPorts {
  readonly controls: TokenEndpointControls;
  readonly issueRefreshToken: (login: Login) => Promise<string>;
}

export async function answerControlRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { controls, issueRefreshToken }: ControlEndpointPorts,
  allowControl: boolean,
): Promise<void> {
  const isControl = request.url !== '/counts';
  if (isControl && !allowControl) {
    reply(response, 403, { error: 'this provider was started without control' });
    return;
  }
  if (request.method !== (isControl ? 'POST' : 'GET')) {
    reply(response, 405, { error: isControl ? 'use POST' : 'use GET' });
    return;
  }
  if (isControl) {
    const text = await readBody(request);
    try {
      // Only our own tests and the local system send this; what is wrong with it shows in what they see.
      if (request.url === '/refresh-token') {
        reply(response, 200, { refreshToken: await issueRefreshToken(JSON.parse(text) as Login) });
        return;
      }
      apply(JSON.parse(text) as ControlRequest, controls);
    } catch (error) {
      reply(response, 400, { error: String(error) });
      return;
    }
  }
  reply(response, 200, controls.counts());
}

function apply(
  { delayTokenMs, failNext, hanging, resetCounts }: ControlRequest,
  controls: TokenEndpointControls,
): void {
  if (delayTokenMs !== undefined) controls.setDelay(delayTokenMs);
  if (failNext !== undefined) controls.failNext(failNext.count, failNext);
  if (hanging !== undefined) controls.setHanging(hanging);
  if (resetCounts === true) controls.resetCounts();
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
