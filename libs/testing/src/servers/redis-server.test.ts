import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { startRedis, type RedisOptions, type RedisServer } from './redis-server.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  cleanups.push(() => server.stop());
  return server;
}

/** Runs one command on a connection of its own. */
async function command(server: RedisServer, name: string, ...args: string[]): Promise<unknown> {
  const redis = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await redis.call(name, ...args);
  } finally {
    redis.disconnect();
  }
}

async function setting(server: RedisServer, name: string): Promise<unknown> {
  const pair = await command(server, 'CONFIG', 'GET', name);
  return Array.isArray(pair) ? pair[1] : pair;
}

describe('startRedis', () => {
  it('starts an empty server that writes nothing to disk', async () => {
    const server = await start();
    expect(await command(server, 'PING')).toBe('PONG');
    expect(await command(server, 'DBSIZE')).toBe(0);
    expect(await setting(server, 'appendonly')).toBe('no');
    expect(await setting(server, 'save')).toBe('');
  });

  it('removes its temporary directory when it is stopped, and leaves no process', async () => {
    const server = await start();
    const directory = String(await setting(server, 'dir'));
    expect(existsSync(directory)).toBe(true);
    await server.stop();
    expect(existsSync(directory)).toBe(false);
    expect(() => process.kill(server.pid, 0)).toThrow();
  });

  it('keeps every answered write over a kill, where persistence is on', async () => {
    const server = await start({ persistence: true });
    await command(server, 'SET', 'key', 'value');
    await server.kill('SIGKILL');
    await server.restart();
    expect(await command(server, 'GET', 'key')).toBe('value');
  });

  it('forgets its data where a restart is told so', async () => {
    const server = await start({ persistence: true });
    await command(server, 'SET', 'key', 'value');
    await server.restart({ keepData: false });
    expect(await command(server, 'GET', 'key')).toBeNull();
  });

  it('refuses a caller without the password', async () => {
    const server = await start({ password: 'p@ss "word"\\' });
    expect(await command(server, 'PING')).toBe('PONG');
    const socket = connect(server.port, server.host);
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(reply.toString()).toMatch(/^-NOAUTH/);
  });

  it('takes further arguments, which win', async () => {
    const server = await start({ args: ['--maxmemory', '3mb', '--appendonly', 'yes'] });
    expect(await setting(server, 'maxmemory')).toBe('3145728');
    expect(await setting(server, 'appendonly')).toBe('yes');
  });

  it('keeps its data where it is told to, and leaves it there', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'token-broker-redis-test-'));
    cleanups.push(() => rm(dir, { recursive: true }));
    const first = await start({ dir, persistence: true });
    await command(first, 'SET', 'key', 'value');
    await first.stop();
    const second = await start({ dir, persistence: true });
    expect(await command(second, 'GET', 'key')).toBe('value');
    await second.stop();
  });

  it('fails at once where its port is not free for long, and names the reason', async () => {
    const first = await start();
    await expect(startRedis({ port: first.port })).rejects.toThrow(/address already in use/i);
  });

  it('says what the server says when it refuses its configuration', async () => {
    await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/no-such-setting/);
  });
});
