import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createSystemClock, Redacted, type Clock } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import {
  createCertificate,
  eventually,
  startIdentityProvider,
  startScriptedIdentityProvider,
  VirtualClock,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from '@token-broker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../app/ports/telemetry.js';
import type { HttpFetch } from '../http/exchange.js';
import { createOAuth2Provider, type OAuth2Provider } from './oauth2-provider.js';

const TIMEOUT_MS = 5_000;
const TOKEN = { access_token: 'token', token_type: 'Bearer', expires_in: 600 };
const ANY = { scopes: [] };

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const nothing = (): void => undefined;
const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function providerOf(settings: Partial<OAuth2SourceConfiguration>, clock: Clock, fetch?: HttpFetch): OAuth2Provider {
  const source: OAuth2SourceConfiguration = {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'token-endpoint', tokenEndpoint: 'http://127.0.0.1:1/token' },
    allowInsecureHttp: true,
    clientId: 'payments',
    clientAuthentication: { kind: 'client_secret_basic', clientSecret: new Redacted('a secret of this test') },
    scopes: [],
    parameters: new Map(),
    timeoutMs: TIMEOUT_MS,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 365 * 86_400_000,
    acceptNarrowerScope: false,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...settings,
  };
  const provider = createOAuth2Provider(source, { clock, log: silent, ...(fetch === undefined ? {} : { fetch }) });
  cleanups.push(() => provider.close());
  return provider;
}

async function startIdp(
  script: (request: ScriptedRequest, index: number) => ScriptedReply,
): Promise<ScriptedIdentityProvider> {
  const idp = await startScriptedIdentityProvider(script);
  cleanups.push(() => idp.stop());
  return idp;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const at = (tokenEndpoint: string) => ({ endpoint: { kind: 'token-endpoint' as const, tokenEndpoint } });
const of = (issuer: string) => ({ endpoint: { kind: 'issuer' as const, issuer } });
const pathsOf = (idp: ScriptedIdentityProvider) => idp.requests.map(({ path }) => path);

describe('a connection that fails', () => {
  it('is IDP_UNAVAILABLE when it is refused', async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    const issued = await providerOf(at(`http://127.0.0.1:${String(port)}/token`), new VirtualClock()).fetch(ANY);
    expect(issued).toMatchObject({
      ok: false,
      error: { code: 'IDP_UNAVAILABLE', detail: expect.stringContaining('ECONNREFUSED') as string },
    });
  });

  it('is IDP_UNAVAILABLE when the reply is cut in the middle of its body', async () => {
    const idp = await startIdp(() => ({ body: TOKEN, fault: 'reset-mid-body' }));
    const clock = new VirtualClock();
    const issued = await providerOf(at(idp.tokenEndpoint), clock).fetch(ANY);
    expect(issued).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
    expect(idp.requests).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is IDP_UNAVAILABLE when it is closed without a reply, which is not asked for again', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.on('error', nothing).once('data', () => socket.destroy());
    });
    const port = await listen(server);
    const issued = await providerOf(at(`http://127.0.0.1:${String(port)}/token`), new VirtualClock()).fetch(ANY);
    expect(issued).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
    expect(connections).toBe(1);
  });

  it('is IDP_UNAVAILABLE when the far side does not speak TLS', async () => {
    const idp = await startIdp(() => ({ body: TOKEN }));
    const issued = await providerOf(at(idp.tokenEndpoint.replace('http:', 'https:')), new VirtualClock()).fetch(ANY);
    expect(issued).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
    expect(idp.requests).toHaveLength(0);
  });

  it('is IDP_UNAVAILABLE when the certificate is not trusted; the source can name the authority', async () => {
    const { cert, key } = await createCertificate();
    const clients = [{ clientId: 'payments', clientSecret: 'a-secret' }];
    const idp = await startIdentityProvider({ clients, tls: { cert, key } });
    cleanups.push(() => idp.stop());
    const settings = {
      ...of(idp.issuer),
      allowInsecureHttp: false,
      clientAuthentication: { kind: 'client_secret_basic' as const, clientSecret: new Redacted('a-secret') },
    };
    const untrusting = await providerOf(settings, createSystemClock()).fetch(ANY);
    expect(untrusting).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
    expect(!untrusting.ok && untrusting.error.detail).toContain('self-signed certificate');
    expect(await providerOf({ ...settings, ca: cert }, createSystemClock()).fetch(ANY)).toMatchObject({ ok: true });
  });

  it('is never made without TLS unless the source allows it', async () => {
    const idp = await startIdp(() => ({ body: TOKEN }));
    for (const endpoint of [at(idp.tokenEndpoint), of(idp.issuer)]) {
      const provider = providerOf({ ...endpoint, allowInsecureHttp: false }, new VirtualClock());
      expect(await provider.fetch(ANY)).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
    }
    expect(idp.requests).toHaveLength(0);
  });

  it('never leads the secret to where a redirect points', async () => {
    const elsewhere = await startIdp(() => ({ body: TOKEN }));
    const idp = await startIdp(() => ({ status: 307, headers: { location: elsewhere.tokenEndpoint } }));
    expect(await providerOf(at(idp.tokenEndpoint), new VirtualClock()).fetch(ANY)).toMatchObject({ ok: false });
    expect(elsewhere.requests).toHaveLength(0);
  });
});

describe('the deadline', () => {
  it('ends a token request that hangs as IDP_TIMEOUT, at the timeout of the source', async () => {
    const idp = await startIdp(() => ({ fault: 'hang' }));
    const clock = new VirtualClock();
    let ended = false;
    const pending = providerOf(at(idp.tokenEndpoint), clock)
      .fetch(ANY)
      .finally(() => {
        ended = true;
      });
    await eventually(() => idp.requests.length === 1, { what: 'the request' });
    await clock.advance(TIMEOUT_MS - 1);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect(await pending).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends a discovery that hangs, too', async () => {
    const idp = await startIdp(() => ({ fault: 'hang' }));
    const clock = new VirtualClock();
    const pending = providerOf(of(idp.issuer), clock).fetch(ANY);
    await eventually(() => idp.requests.length === 1, { what: 'the discovery' });
    await clock.advance(TIMEOUT_MS);
    expect(await pending).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
    expect(pathsOf(idp)).toEqual(['/.well-known/openid-configuration']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is one for discovery and token request together', async () => {
    let discovered = nothing;
    const isDiscovered = new Promise<void>((resolve) => {
      discovered = resolve;
    });
    const issuer = 'http://127.0.0.1:1';
    const asked: string[] = [];
    const fetch: HttpFetch = async (url) => {
      asked.push(url);
      // The port's other side obeys no signal.
      if (url.endsWith('/token')) return new Promise(nothing);
      await isDiscovered;
      const headers = new Headers({ 'content-type': 'application/json' });
      return { status: 200, headers, body: bytesOf({ issuer, token_endpoint: `${issuer}/token` }) };
    };
    const clock = new VirtualClock();
    const pending = providerOf(of(issuer), clock, fetch).fetch(ANY);
    await clock.advance(TIMEOUT_MS - 1);
    discovered();
    await eventually(() => asked.length === 2, { what: 'the token request' });
    await clock.advance(1);
    expect(await pending).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
  });

  it('holds while a body trickles in', async () => {
    const server = createServer((socket) => {
      socket.on('error', nothing).once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{');
      });
      cleanups.push(() => socket.destroy());
    });
    const port = await listen(server);
    const clock = new VirtualClock();
    const connected = once(server, 'connection');
    const pending = providerOf(at(`http://127.0.0.1:${String(port)}/token`), clock).fetch(ANY);
    await connected;
    await clock.advance(TIMEOUT_MS);
    expect(await pending).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
  });
});

describe('discovery', () => {
  const oidc = '/.well-known/openid-configuration';
  const metadataOf = (request: ScriptedRequest, more: Record<string, unknown> = {}) => {
    const issuer = `http://${request.headers.host ?? ''}`;
    return { body: { issuer, token_endpoint: `${issuer}/oauth/token`, ...more } };
  };

  it('happens with the first call and not with the next; metadata are read again after 15 minutes', async () => {
    const idp = await startIdp((request) => (request.path === oidc ? metadataOf(request) : { body: TOKEN }));
    const clock = new VirtualClock();
    const provider = providerOf(of(idp.issuer), clock);
    expect(idp.requests).toHaveLength(0);
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    await clock.advance(15 * 60_000 - 1);
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    expect(pathsOf(idp)).toEqual([oidc, '/oauth/token', '/oauth/token']);
    await clock.advance(1);
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    expect(pathsOf(idp).slice(3)).toEqual([oidc, '/oauth/token']);
  });

  it('is shared by calls of one moment', async () => {
    const idp = await startIdp((request) => (request.path === oidc ? metadataOf(request) : { body: TOKEN }));
    const provider = providerOf(of(idp.issuer), new VirtualClock());
    const issued = await Promise.all([provider.fetch(ANY), provider.fetch(ANY), provider.fetch(ANY)]);
    expect(issued.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(pathsOf(idp).filter((path) => path === oidc)).toHaveLength(1);
    expect(idp.requests).toHaveLength(4);
  });

  it('is tried again by the next call when it failed', async () => {
    const faults: ScriptedReply[] = [
      { status: 503, headers: { 'retry-after': '2' } },
      { status: 429 },
      { body: '<html>' },
      { body: { error: 'invalid_client' } },
      { status: 401, body: { error: 'invalid_client' } },
      { status: 302, headers: { location: '/elsewhere' } },
      { fault: 'reset-mid-body', body: '{"issuer":"x"}' },
    ];
    const idp = await startIdp((request, index) => {
      return request.path === oidc ? (faults[index] ?? metadataOf(request)) : { body: TOKEN };
    });
    const provider = providerOf(of(idp.issuer), new VirtualClock());
    const codes: string[] = [];
    for (const _ of faults) {
      const issued = await provider.fetch(ANY);
      codes.push(issued.ok ? 'ok' : `${issued.error.code} ${String(issued.error.retryAfterMs ?? '')}`.trim());
    }
    const protocol = Array.from({ length: 4 }, () => 'IDP_PROTOCOL');
    expect(codes).toEqual(['IDP_UNAVAILABLE 2000', 'QUOTA_EXHAUSTED', ...protocol, 'IDP_UNAVAILABLE']);
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    expect(pathsOf(idp)).toEqual([...faults.map(() => oidc), oidc, '/oauth/token']);
  });

  it.each<[string, Record<string, unknown>]>([
    ['another issuer', { issuer: 'http://127.0.0.1:1' }],
    ['no token endpoint', { token_endpoint: undefined }],
    ['a token endpoint that is no URL', { token_endpoint: 'oauth/token' }],
    ['a token endpoint that is not for HTTP', { token_endpoint: 'file:///etc/passwd' }],
  ])('is IDP_PROTOCOL, and kept by nobody, when the metadata name %s', async (_, more) => {
    const idp = await startIdp((request, index) => {
      return request.path === oidc ? metadataOf(request, index === 0 ? more : {}) : { body: TOKEN };
    });
    const provider = providerOf(of(idp.issuer), new VirtualClock());
    const refused = await provider.fetch(ANY);
    expect(refused).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
    expect(!refused.ok && refused.error.message).toContain("issuer's metadata");
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    expect(pathsOf(idp)).toEqual([oidc, oidc, '/oauth/token']);
  });

  it('takes the metadata of RFC 8414 where those of OpenID are not found', async () => {
    const idp = await startIdp((request) => {
      if (request.path === oidc) return { status: 404 };
      return request.path === '/.well-known/oauth-authorization-server' ? metadataOf(request) : { body: TOKEN };
    });
    expect(await providerOf(of(idp.issuer), new VirtualClock()).fetch(ANY)).toMatchObject({ ok: true });
    expect(pathsOf(idp)).toEqual([oidc, '/.well-known/oauth-authorization-server', '/oauth/token']);
  });

  it('finds a token endpoint that has moved', async () => {
    let path = '/oauth/token';
    const idp = await startIdp((request) => {
      if (request.path === oidc)
        return metadataOf(request, { token_endpoint: `http://${request.headers.host ?? ''}${path}` });
      return request.path === path ? { body: TOKEN } : { status: 404 };
    });
    const provider = providerOf(of(idp.issuer), new VirtualClock());
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    path = '/v2/token';
    expect(await provider.fetch(ANY)).toMatchObject({ ok: false, error: { code: 'IDP_PROTOCOL' } });
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
  });
});

it('answers after it was closed, with a failure', async () => {
  const idp = await startIdp(() => ({ body: TOKEN }));
  const provider = providerOf(at(idp.tokenEndpoint), new VirtualClock());
  expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
  await provider.close();
  expect(await provider.fetch(ANY)).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
});

async function* bytesOf(value: unknown): AsyncGenerator<Uint8Array> {
  yield Buffer.from(JSON.stringify(value));
}
