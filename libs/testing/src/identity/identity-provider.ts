import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type Provider from 'oidc-provider';
import { answerControlRequest } from './control-endpoint.js';
import { createProvider, type ProviderOptions } from './provider-configuration.js';
import { createTokenEndpointGate, type TokenEndpointControls, type TokenEndpointGate } from './token-endpoint-gate.js';

/** How to start an OpenID provider. */
export interface IdentityProviderOptions extends ProviderOptions {
  /** Default: a free port. */
  readonly port?: number;
  /** PEM texts. Default: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** How long the token endpoint waits before it does anything. Default 0. */
  readonly delayTokenMs?: number;
  /** Whether `POST /control` may change delays and failures from another process. Default false. */
  readonly allowControl?: boolean;
}

/** A real OpenID provider on 127.0.0.1, whose token endpoint counts, and can be made slow or faulty. */
export interface IdentityProvider extends TokenEndpointControls {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  /**
   * Issues a refresh token as if a person had logged in and consented. It rotates at each use; the use of a spent one
   * revokes all that came of it.
   */
  issueRefreshToken(
    clientId: string,
    options?: { readonly accountId?: string; readonly scope?: string },
  ): Promise<string>;
  stop(): Promise<void>;
}

/** Starts `oidc-provider` on a free port of 127.0.0.1. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const gate = createTokenEndpointGate(options.delayTokenMs ?? 0);
  let answer: RequestListener = (_, response) => response.writeHead(503).end();
  const listener: RequestListener = (request, response) => {
    answer(request, response);
  };
  const server = options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');

  const issuer = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(portOf(server))}`;
  const provider = await createProvider(issuer, options, gate.countIssued);
  answer = route(provider.callback(), gate, options.allowControl === true);

  return {
    ...gate.controls,
    issuer,
    tokenEndpoint: `${issuer}/token`,
    issueRefreshToken: (clientId, login = {}) => issueRefreshToken(provider, clientId, login),
    async stop() {
      if (!server.listening) return;
      gate.controls.setHanging(false);
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function route(provider: RequestListener, gate: TokenEndpointGate, allowControl: boolean): RequestListener {
  return (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0];
    const fail = (error: unknown): void => {
      response.destroy(error instanceof Error ? error : undefined);
    };
    if (path === '/counts' || path === '/control') {
      answerControlRequest(request, response, gate.controls, allowControl).catch(fail);
    } else if (path === '/token' && request.method === 'POST') {
      gate.admit(request, response).then((body) => {
        if (body === undefined) return;
        // The provider takes the body from here, since the stream has been read.
        provider(Object.assign(request, { body: audienceAsResource(body) }), response);
      }, fail);
    } else {
      provider(request, response);
    }
  };
}

/** Some providers know no `resource` (RFC 8707) and call it `audience`; this one takes either. */
function audienceAsResource(body: string): string {
  const form = new URLSearchParams(body);
  const audience = form.get('audience');
  if (audience === null || form.has('resource') || form.get('grant_type')?.startsWith('urn:') === true) return body;
  form.delete('audience');
  form.set('resource', audience);
  return form.toString();
}

async function issueRefreshToken(
  provider: Provider,
  clientId: string,
  { accountId = 'someone', scope = 'openid offline_access' }: { accountId?: string; scope?: string },
): Promise<string> {
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client ${clientId} is configured`);
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    client,
    accountId,
    grantId,
    scope,
    gty: 'authorization_code',
    iiat: Math.floor(Date.now() / 1000),
    expiresWithSession: false,
  });
  return token.save();
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  return address.port;
}
