import { eventually, startRedis, type RedisServer } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';

/** A real server, and a client of it. */
export interface RedisOfFile {
  readonly server: RedisServer;
  readonly client: Redis;
}

/** Has a server and a client for all tests of the file that calls this: before its first test, and until after its last. */
export function redisOfFile(): RedisOfFile {
  let started: RedisOfFile | undefined;
  const get = (): RedisOfFile => {
    if (started === undefined) throw new Error('Redis is there within tests and hooks alone');
    return started;
  };
  beforeAll(async () => {
    const server = await startRedis();
    started = { server, client: new Redis({ host: server.host, port: server.port }) };
  });
  afterAll(async () => {
    started?.client.disconnect();
    await started?.server.stop();
  });
  return {
    get server() {
      return get().server;
    },
    get client() {
      return get().client;
    },
  };
}

/** Lets the time of a real Redis go by. */
export async function redisTimePasses({ client }: RedisOfFile, ms: number): Promise<void> {
  const redisMs = async (): Promise<number> => {
    const [seconds = 0, micros = 0] = await client.time();
    return seconds * 1_000 + micros / 1_000;
  };
  const untilMs = (await redisMs()) + ms;
  await eventually(async () => (await redisMs()) > untilMs, { what: 'the time of Redis to go by' });
}
