import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../app/ports/telemetry.js';
import { createHttpServer, type HttpServer, type HttpServerOptions } from './http-server.js';

const cleanups: (() => Promise<void>)[] = [];
let errors: string[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  errors = [];
});

const ignore = (): void => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: (message) => errors.push(message) };

async function serve(options: Partial<HttpServerOptions> = {}): Promise<{ server: HttpServer; url: string }> {
  const server = await createHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: { render: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }) },
    isLive: () => true,
    readiness: () => ({ ready: true, checks: { nats: 'ok' } }),
    log,
    ...options,
  });
  cleanups.push(() => server.close());
  return { server, url: `http://127.0.0.1:${String(server.address.port)}` };
}

/** Sends raw bytes and returns all that comes back until the server ends the connection. */
function raw(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (reply += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(reply));
  });
}

describe('createHttpServer', () => {
  it('listens on a port of its own choice and says which', async () => {
    const { server } = await serve();
    expect(server.address.host).toBe('127.0.0.1');
    expect(server.address.port).toBeGreaterThan(0);
  });

  it('serves the metrics with their content type', async () => {
    const { url } = await serve();
    const reply = await fetch(`${url}/metrics?x=1`);
    expect([reply.status, reply.headers.get('content-type'), await reply.text()]).toEqual([
      200,
      'text/plain; version=0.0.4',
      'up 1\n',
    ]);
  });

  it('tells whether it lives, as of now', async () => {
    let live = true;
    const { url } = await serve({ isLive: () => live });
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    live = false;
    expect((await fetch(`${url}/livez`)).status).toBe(503);
  });

  it('tells whether it is ready and what is not well, as of now', async () => {
    let ready = false;
    const { url } = await serve({
      readiness: () => ({ ready, checks: { nats: ready ? 'ok' : 'disconnected', redis: 'ok' } }),
    });
    const before = await fetch(`${url}/readyz`);
    expect([before.status, await before.json()]).toEqual([
      503,
      { status: 'not ready', checks: { nats: 'disconnected', redis: 'ok' } },
    ]);
    ready = true;
    const after = await fetch(`${url}/readyz`);
    expect([after.status, await after.json()]).toEqual([200, { status: 'ok', checks: { nats: 'ok', redis: 'ok' } }]);
  });

  it('answers HEAD without a body', async () => {
    const { url } = await serve();
    const reply = await fetch(`${url}/metrics`, { method: 'HEAD' });
    expect([reply.status, reply.headers.get('content-length'), await reply.text()]).toEqual([200, '5', '']);
  });

  it.each(['/', '/metrics/', '/admin', '/%6cive', '//livez'])('knows no %s', async (path) => {
    const { url } = await serve();
    expect((await fetch(url + path)).status).toBe(404);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const { url } = await serve();
    const reply = await fetch(`${url}/readyz`, { method });
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('answers 500 without the reason when something throws, and logs it', async () => {
    const { url } = await serve({
      metrics: { render: () => Promise.reject(new Error('the reason')) },
      readiness: () => {
        throw new Error('the reason');
      },
    });
    for (const path of ['/metrics', '/readyz']) {
      const reply = await fetch(url + path);
      expect(reply.status).toBe(500);
      expect(await reply.text()).not.toContain('reason');
    }
    expect(errors).toHaveLength(2);
  });

  it('refuses headers that are too large', async () => {
    const { server } = await serve();
    const reply = await raw(server.address.port, `GET /livez HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('ends a connection that never finishes its request', async () => {
    const { server } = await serve();
    expect(await raw(server.address.port, 'GET /livez HTTP/1.1\r\nHost: a\r\n')).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('says so when the address is taken', async () => {
    const { server } = await serve();
    await expect(serve({ listen: { host: '127.0.0.1', port: server.address.port } })).rejects.toThrow(/EADDRINUSE/);
  });

  it('lets a running answer finish when it is closed, and takes nothing any more', async () => {
    let finish = ignore;
    const rendering = new Promise<void>((resolve) => (finish = resolve));
    let started = ignore;
    const asked = new Promise<void>((resolve) => (started = resolve));
    const { server, url } = await serve({
      metrics: {
        async render() {
          started();
          await rendering;
          return { contentType: 'text/plain', body: 'late' };
        },
      },
    });
    const reply = fetch(`${url}/metrics`, { headers: { connection: 'close' } });
    await asked;
    const closing = server.close();
    await expect(fetch(`${url}/livez`)).rejects.toThrow();
    finish();
    expect(await (await reply).text()).toBe('late');
    await closing;
    await server.close();
  });
});
