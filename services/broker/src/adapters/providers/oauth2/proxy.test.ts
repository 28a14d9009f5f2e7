import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Redacted } from '@token-broker/foundation';
import { createCertificate, eventually, VirtualClock } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BY_SECRET, CLIENT_ID, failureOf, issuerOf, openProvider, startIdp, startScript } from '../fakes/oauth2-bed.js';
import { readProxy } from '../http/proxy.js';

const ANY = { scopes: [] };
const PASSWORD = 'pa:ss w%rd/canary';

interface TestProxy {
  readonly address: string;
  /** What it was asked for, and what came with that. */
  readonly asked: { readonly target: string; readonly headers: IncomingHttpHeaders }[];
  /** Requests that it was to make itself. */
  readonly plain: () => number;
}

/** A proxy that opens tunnels, or answers `CONNECT` by another status; 0: with nothing. */
async function startProxy(status = 200, says = ''): Promise<TestProxy> {
  const asked: TestProxy['asked'] = [];
  const sockets = new Set<Socket>();
  let plain = 0;
  const server = createServer((_, response) => {
    plain += 1;
    response.writeHead(500).end();
  });
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  server.on('connect', (request, client: Socket) => {
    const target = request.url ?? '';
    asked.push({ target, headers: request.headers });
    if (status === 0) return;
    if (status !== 200) {
      client.end(`HTTP/1.1 ${String(status)} ${says}\r\n\r\n`);
      return;
    }
    const [host, port] = target.split(':');
    const upstream = connect(Number(port), host ?? '', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    sockets.add(upstream.on('error', () => client.destroy()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return { address, asked, plain: () => plain };
}

describe('a source behind a proxy', () => {
  it.each(['http', 'https'])('sends every request through a tunnel, to %s:', async (scheme) => {
    const tls = await createCertificate();
    const idp = await startIdp(scheme === 'https' ? { tls } : {});
    const proxy = await startProxy();
    const settings = { ...issuerOf(idp), proxy: new Redacted(`http://${proxy.address}`), ca: tls.cert };
    const { provider } = openProvider(settings);
    const issued = await provider.fetch(ANY);
    expect(issued).toMatchObject({ ok: true });
    if (issued.ok)
      expect(await provider.revoke(issued.value.accessToken)).toMatchObject({ ok: true, value: 'revoked' });
    expect(proxy.asked.length).toBeGreaterThan(0);
    expect(new Set(proxy.asked.map(({ target }) => target))).toEqual(new Set([new URL(idp.issuer).host]));
    expect(proxy.asked[0]?.headers['proxy-authorization']).toBeUndefined();
    expect(proxy.plain()).toBe(0);
  });

  it('trusts its own authority and shows its own certificate through the tunnel, as without one', async () => {
    const [server, client] = [await createCertificate(), await createCertificate()];
    const clientAuthentication = 'tls_client_auth' as const;
    const clients = [{ clientId: CLIENT_ID, clientAuthentication, certificate: client.cert }];
    const idp = await startIdp({ clients, tls: server });
    const proxy = await startProxy();
    const settings = {
      ...issuerOf(idp),
      allowInsecureHttp: false,
      proxy: new Redacted(`http://${proxy.address}`),
      clientAuthentication: { kind: clientAuthentication, certificate: client.cert, key: new Redacted(client.key) },
    };
    expect(await openProvider({ ...settings, ca: server.cert }).provider.fetch(ANY)).toMatchObject({ ok: true });
    const untrusting = failureOf(await openProvider(settings).provider.fetch(ANY));
    expect(untrusting.code).toBe('IDP_UNAVAILABLE');
    expect(untrusting.detail).toContain('self-signed certificate');
  });

  it('proves itself to the proxy alone', async () => {
    const idp = await startIdp();
    const proxy = await startProxy();
    const credentials = `us%40er:${encodeURIComponent(PASSWORD)}`;
    const { provider } = openProvider({
      ...issuerOf(idp),
      proxy: new Redacted(`http://${credentials}@${proxy.address}`),
    });
    expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
    const expected = `Basic ${Buffer.from(`us@er:${PASSWORD}`).toString('base64')}`;
    expect(proxy.asked.map(({ headers }) => headers['proxy-authorization'])).toEqual(proxy.asked.map(() => expected));
    expect(idp.requests()[0]?.headers['proxy-authorization']).toBeUndefined();
  });

  it.each([
    ['refuses', 407, ''],
    ['repeats what it was sent', 502, PASSWORD],
  ])('fails when the proxy %s, and tells no password', async (_, status, says) => {
    const idp = await startIdp();
    const proxy = await startProxy(status, says);
    const credentials = `user:${encodeURIComponent(PASSWORD)}`;
    const settings = { ...issuerOf(idp), proxy: new Redacted(`http://${credentials}@${proxy.address}`) };
    const { provider, lines } = openProvider(settings);
    const failure = failureOf(await provider.fetch(ANY));
    expect(failure).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      detail: expect.stringContaining(String(status)) as string,
    });
    expect(JSON.stringify([failure, lines])).not.toMatch(/canary|user:/);
    expect(idp.requests()).toHaveLength(0);
  });

  it.each([
    ['the password', PASSWORD],
    ['the password as it stands in the address', encodeURIComponent(PASSWORD)],
    ['what it is sent as', Buffer.from(`user:${PASSWORD}`).toString('base64')],
    ['the whole address', `http://user:${encodeURIComponent(PASSWORD)}@127.0.0.1`],
  ])('hides %s when the identity provider, of all, repeats it', async (_, text) => {
    const proxy = await startProxy();
    const idp = await startScript(() => ({ status: 400, body: { error: 'invalid_scope', error_description: text } }));
    const { provider } = openProvider({
      endpoint: { kind: 'token-endpoint', tokenEndpoint: idp.tokenEndpoint },
      clientAuthentication: BY_SECRET,
      proxy: new Redacted(`http://user:${encodeURIComponent(PASSWORD)}@${proxy.address}`),
    });
    const failure = failureOf(await provider.fetch(ANY));
    expect(failure.detail).toContain('<redacted>');
    expect(failure.detail).not.toContain(text);
    expect(failure.detail).not.toContain('canary');
  });

  it('fails when the proxy cannot be reached, and goes past it never', async () => {
    const idp = await startIdp();
    const { provider } = openProvider({ ...issuerOf(idp), proxy: new Redacted('http://127.0.0.1:1') });
    expect(failureOf(await provider.fetch(ANY)).code).toBe('IDP_UNAVAILABLE');
    expect(idp.requests()).toHaveLength(0);
  });

  it('ends at its timeout when the proxy says nothing', async () => {
    const proxy = await startProxy(0);
    const clock = new VirtualClock();
    const endpoint = { kind: 'token-endpoint' as const, tokenEndpoint: 'http://127.0.0.1:65535/token' };
    const settings = { endpoint, timeoutMs: 1_000, proxy: new Redacted(`http://${proxy.address}`) };
    const pending = openProvider(settings, clock).provider.fetch(ANY);
    await eventually(() => proxy.asked.length === 1, { what: 'the CONNECT' });
    await clock.advance(1_000);
    expect(failureOf(await pending).code).toBe('IDP_TIMEOUT');
  });
});

describe('readProxy', () => {
  it('takes the address apart', () => {
    const { uri, authorization, secrets } = readProxy(new Redacted('http://u%40:p%3Ass@proxy.example:3128'));
    expect(uri).toBe('http://proxy.example:3128/');
    expect(authorization?.reveal()).toBe(`Basic ${Buffer.from('u@:p:ss').toString('base64')}`);
    expect(secrets.map((secret) => secret.reveal())).toEqual(
      expect.arrayContaining(['p%3Ass', 'p:ss', 'u@:p:ss', 'http://u%40:p%3Ass@proxy.example:3128']),
    );
  });

  it('has nothing to hide where the address names nobody, and takes a percent sign for what it is', () => {
    expect(readProxy(new Redacted('http://proxy.example'))).toMatchObject({ authorization: undefined, secrets: [] });
    const { authorization } = readProxy(new Redacted('http://u:100%@proxy.example'));
    expect(authorization?.reveal()).toBe(`Basic ${Buffer.from('u:100%').toString('base64')}`);
  });
});
