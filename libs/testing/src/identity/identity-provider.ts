import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { answerControlRequest } from './control-endpoint.js';
import { issueRefreshToken, type Login } from './issued-by-login.js';
import type { IdentityClient } from './identity-client.js';
import { createProvider, type ProviderOptions } from './provider-configuration.js';
import { RefreshTokenWatch, type RefreshTokenCounts } from './refresh-token-counts.js';
import {
  createTokenEndpointGate,
  type EndpointControls,
  type TokenEndpointControls,
  type TokenEndpointGate,
} from './token-endpoint-gate.js';
import { portOf } from '../port-of.js';

/** How to start an OpenID provider. */
export interface IdentityProviderOptions extends ProviderOptions {
  /** Default: a free port. */
  readonly port?: number;
  /** PEM texts. Default: plain HTTP. Needed for clients of `tls_client_auth`. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** How long the token endpoint waits before it does anything. Default 0. */
  readonly delayTokenMs?: number;
  /** Whether another process may change delays and failures, and have refresh tokens issued. Default false. */
  readonly allowControl?: boolean;
}

/** A real OpenID provider on 127.0.0.1, whose token endpoint counts, and can be made slow or faulty. */
export interface IdentityProvider extends TokenEndpointControls {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string;
  readonly introspectionEndpoint: string;
  readonly jwksUri: string;
  /** The token endpoint for `tls_client_auth`: an alias, on a port of its own, where TLS asks for a certificate. */
  readonly mutualTlsTokenEndpoint: string | undefined;
  /** The endpoints of RFC 7009 and RFC 7662, which can be made slow or faulty too. */
  readonly revocation: EndpointControls;
  readonly introspection: EndpointControls;
  /** What the provider itself has seen of refresh tokens: uses, replays, families that were revoked. */
  refreshTokens(): RefreshTokenCounts;
  /**
   * Issues a refresh token as if a person had logged in and consented. What its use does is told by `rotation` and
   * `refreshGraceMs` of the options; the use of a spent one revokes all that came of it. A source that asks for scopes gets
   * those which the login's `scope` names, and is denied others.
   */
  issueRefreshToken(login: Login): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts `oidc-provider` on a free port of 127.0.0.1. It knows the grants client_credentials, refresh_token, JWT bearer and
 * token exchange, introspection and revocation. Where it speaks TLS and a client proves itself by `tls_client_auth`, its
 * metadata name aliases on a second port (`mtls_endpoint_aliases`), where TLS asks for the certificate.
 */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const gates = {
    token: createTokenEndpointGate(options.delayTokenMs ?? 0),
    revocation: createTokenEndpointGate(0),
    introspection: createTokenEndpointGate(0),
  };
  const refreshTokens = new RefreshTokenWatch();
  let answer: RequestListener = (_, response) => response.writeHead(503).end();
  const listener: RequestListener = (request, response) => {
    answer(request, response);
  };
  const server = options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
  const servers = [server];
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  let mutualTlsOrigin: string | undefined;
  if (options.tls !== undefined && options.clients.some(isMutualTls)) {
    // Whose certificate it is, the provider finds out.
    const second = createHttpsServer({ ...options.tls, requestCert: true, rejectUnauthorized: false }, listener);
    servers.push(second);
    second.listen(0, '127.0.0.1');
    await once(second, 'listening');
    mutualTlsOrigin = `https://127.0.0.1:${String(portOf(second))}`;
  }

  const issuer = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(portOf(server))}`;
  const provider = await createProvider(issuer, options, {
    issued: gates.token.countIssued,
    refreshTokens,
    ...(mutualTlsOrigin === undefined ? {} : { mutualTlsOrigin }),
  });
  const control = {
    controls: gates.token.controls,
    issueRefreshToken: (login: Login) => issueRefreshToken(provider, login),
  };
  answer = route(provider.callback(), gates, (request, response) =>
    answerControlRequest(request, response, control, options.allowControl === true),
  );

  return {
    ...gates.token.controls,
    resetCounts() {
      for (const gate of Object.values(gates)) gate.controls.resetCounts();
      refreshTokens.reset();
    },
    issuer,
    tokenEndpoint: `${issuer}/token`,
    revocationEndpoint: `${issuer}/token/revocation`,
    introspectionEndpoint: `${issuer}/token/introspection`,
    jwksUri: `${issuer}/jwks`,
    mutualTlsTokenEndpoint: mutualTlsOrigin === undefined ? undefined : `${mutualTlsOrigin}/token`,
    revocation: gates.revocation.controls,
    introspection: gates.introspection.controls,
    refreshTokens: () => refreshTokens.counts,
    issueRefreshToken: control.issueRefreshToken,
    async stop() {
      for (const gate of Object.values(gates)) gate.controls.setHanging(false);
      await Promise.all(servers.map(stopServer));
    },
  };
}

function isMutualTls({ clientAuthentication }: IdentityClient): boolean {
  return clientAuthentication === 'tls_client_auth';
}

async function stopServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

type Gates = Readonly<Record<'token' | 'revocation' | 'introspection', TokenEndpointGate>>;

function route(
  provider: RequestListener,
  gates: Gates,
  answerControl: (...exchange: Parameters<RequestListener>) => Promise<void>,
): RequestListener {
  const gateOf: Readonly<Record<string, TokenEndpointGate>> = {
    '/token': gates.token,
    '/token/revocation': gates.revocation,
    '/token/introspection': gates.introspection,
  };
  return (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const gate = gateOf[path];
    const fail = (error: unknown): void => {
      response.destroy(error instanceof Error ? error : undefined);
    };
    if (CONTROL_PATHS.has(path)) {
      answerControl(request, response).catch(fail);
    } else if (gate !== undefined && request.method === 'POST') {
      gate.admit(request, response).then((body) => {
        if (body === undefined) return;
        // The provider takes the body from here, since the stream has been read.
        const form = gate === gates.token ? audienceAsResource(body) : body;
        provider(Object.assign(request, { body: form }), response);
      }, fail);
    } else {
      provider(request, response);
    }
  };
}

const CONTROL_PATHS: ReadonlySet<string> = new Set(['/counts', '/control', '/refresh-token']);

/** Some providers know no `resource` (RFC 8707) and call it `audience`; this one takes either. */
function audienceAsResource(body: string): string {
  const form = new URLSearchParams(body);
  const audience = form.get('audience');
  if (audience === null || form.has('resource') || form.get('grant_type')?.startsWith('urn:') === true) return body;
  form.delete('audience');
  form.set('resource', audience);
  return form.toString();
}
