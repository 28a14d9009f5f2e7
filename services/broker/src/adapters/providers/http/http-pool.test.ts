import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@token-broker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { openHttpPool, type HttpPool } from './http-pool.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Bed {
  readonly pool: HttpPool;
  readonly server: Server;
  /** How many requests have arrived. */
  readonly arrived: () => number;
  /** How many connections are open, as the far side sees it. */
  readonly connections: () => Promise<number>;
  /** Posts a form and reads the reply to its end. */
  readonly post: (signal?: AbortSignal) => Promise<number>;
}

async function start(answer: RequestListener): Promise<Bed> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume();
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/token`;
  const pool = openHttpPool({ timeoutMs: 5_000 });
  cleanups.push(() => pool.close());
  return {
    pool,
    server,
    arrived: () => requests,
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      }),
    async post(signal = new AbortController().signal) {
      const reply = await pool.fetch(url, { method: 'POST', headers: {}, body: 'a=b', signal });
      for await (const _ of reply.body);
      return reply.status;
    },
  };
}

describe('a pool of connections', () => {
  it.each([401, 407, 408, 421, 425, 429, 503])('sends a request once, whatever comes back: %i', async (status) => {
    const { arrived, post } = await start((_, response) => response.writeHead(status, { 'retry-after': '0' }).end());
    // 407 and 421 have a meaning to the Fetch Standard: they may come back as a failure.
    await post().catch(() => undefined);
    expect(arrived()).toBe(1);
  });

  it('sends a request once when its connection was kept and is closed under it', async () => {
    let isFirst = true;
    const { arrived, post } = await start((request, response) => {
      if (isFirst) response.end();
      else request.socket.destroy();
      isFirst = false;
    });
    expect(await post()).toBe(200);
    await expect(post()).rejects.toThrow();
    expect(arrived()).toBe(2);
  });

  it('keeps a connection after a request, and none after it was closed', async () => {
    const { connections, pool, post } = await start((_, response) => response.end());
    await post();
    expect(await connections()).toBe(1);
    await pool.close();
    await eventually(async () => (await connections()) === 0, { what: 'the end of the connection' });
  });

  it('may be closed twice, and serves nothing afterwards', async () => {
    const { arrived, pool, post } = await start((_, response) => response.end());
    await pool.close();
    await pool.close();
    await expect(post()).rejects.toThrow();
    expect(arrived()).toBe(0);
  });

  it('waits with its closing for the request that is running', async () => {
    let answer = (): void => undefined;
    const { arrived, pool, post } = await start((_, response) => {
      answer = () => response.end();
    });
    const order: string[] = [];
    const posted = post().then(() => order.push('answered'));
    await eventually(() => arrived() === 1, { what: 'the request' });
    const closed = pool.close().then(() => order.push('closed'));
    answer();
    await Promise.all([posted, closed]);
    expect(order).toEqual(['answered', 'closed']);
  });

  it.each(['headers', 'body'])('lets go of the connection when the signal ends the wait for the %s', async (part) => {
    const { arrived, connections, pool, post } = await start((_, response) => {
      if (part === 'body') response.write('{');
    });
    const aborter = new AbortController();
    const posted = post(aborter.signal);
    await eventually(() => arrived() === 1, { what: 'the request' });
    aborter.abort();
    await expect(posted).rejects.toThrow();
    await pool.close();
    await eventually(async () => (await connections()) === 0, { what: 'the end of the connection' });
  });
});
