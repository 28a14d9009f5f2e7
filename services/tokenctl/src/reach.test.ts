import { createServer, type AddressInfo, type Server } from 'node:net';
import { createSystemClock } from '@token-broker/foundation';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { reach } from './reach.js';

const clock = createSystemClock();
let server: Server;
let port = 0;

beforeEach(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  server.close();
});

it('says nothing where a server takes the connection, and leaves', async () => {
  const left = new Promise<void>((resolve) => {
    server.once('connection', (socket) => socket.once('close', () => resolve()).resume());
  });
  expect(await reach({ host: '127.0.0.1', port }, 5_000, clock)).toBeUndefined();
  await left;
});

it('says why where nobody is there', async () => {
  await new Promise((resolve) => server.close(resolve));
  expect(await reach({ host: '127.0.0.1', port }, 5_000, clock)).toBe('ECONNREFUSED');
  expect(await reach({ host: 'no-such-host.invalid', port: 1 }, 5_000, clock)).toMatch(/ENOTFOUND|EAI_AGAIN/);
});

it('is not content with a connection where TLS is wanted', async () => {
  server.on('connection', (socket) => socket.on('error', () => undefined).end('this is no TLS\r\n'));
  expect(await reach({ host: '127.0.0.1', port, tls: {} }, 5_000, clock)).toMatch(/SSL|TLS|ECONNRESET/);
});

it('gives up in time on a server that never says anything', async () => {
  server.on('connection', (socket) => socket.on('error', () => undefined).resume());
  expect(await reach({ host: '127.0.0.1', port, tls: {} }, 100, clock)).toBe('no answer within 100 ms');
});
