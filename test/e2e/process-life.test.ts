import { readFile, writeFile } from 'node:fs/promises';
import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from '../integration/asking.js';
import { startStack, type Stack } from '../integration/stack.js';
import { runBroker, startBrokerProcess } from './broker-process.js';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ brokers: 0 });
});
afterAll(() => stack.stop());

it('L5: a bad configuration refuses to start with exit code 2, and every problem is named with its line', async () => {
  const good = await readFile(stack.configurationPath, 'utf8');
  const path = `${stack.configurationPath}.bad.yaml`;
  await writeFile(path, good.replace('tick: 200ms', 'tick: 200').replace('clientId: payments', 'clientID: payments'), {
    mode: 0o600,
  });
  const program = runBroker(path);
  expect((await program.exited).code).toBe(2);
  const text = program.stderr.join('\n');
  expect(text).toMatch(/bad\.yaml:\d+:\d+ cluster\.tick: .*unit/);
  expect(text).toMatch(/bad\.yaml:\d+:\d+ sources\.payments-api.*clientID.*clientId/);
});

it('refuses to start, and says why, on a Redis that evicts keys', async () => {
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  await redis.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
  try {
    const program = runBroker(stack.configurationPath);
    expect((await program.exited).code).toBe(2);
    expect(program.stderr.join('\n')).toMatch(/maxmemory-policy noeviction/);
  } finally {
    await redis.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
    redis.disconnect();
  }
});

it('F36: SIGTERM answers what is under way, commits the flight, and exits 0', async () => {
  const broker = await startBrokerProcess(stack.configurationPath);
  const connection = await stack.connectAs('orders');
  stack.idp.setDelay(700);
  const before = stack.idp.counts().tokenRequests;
  const flying = ask(connection, 'orders', 'payments-api');
  await eventually(() => stack.idp.counts().tokenRequests > before, { what: 'the call to be under way' });
  broker.program.signal('SIGTERM');
  const token = await flying;
  expect((await broker.program.exited).code).toBe(0);
  stack.idp.setDelay(0);
  // What it had fetched is there for the next one: no second call.
  const next = await startBrokerProcess(stack.configurationPath);
  expect((await ask(connection, 'orders', 'payments-api')).accessToken).toBe(token.accessToken);
  expect(stack.idp.counts().tokenRequests - before).toBe(1);
  await next.program.stop();
});

it('reads its configuration again on SIGHUP and when the file changes, and keeps the old one when the new is broken', async () => {
  const broker = await startBrokerProcess(stack.configurationPath);
  const ops = await stack.connectAs('ops');
  const good = await readFile(stack.configurationPath, 'utf8');
  await expect(ask(ops, 'ops', 'later')).rejects.toThrow('UNKNOWN_SOURCE');

  await writeFile(
    stack.configurationPath,
    good.replace('orders-api:\n', 'later:\n').replaceAll('- orders-api', '- later'),
  );
  await eventually(() => ask(ops, 'ops', 'later'), { what: 'the changed file to be in force', withinMs: 10_000 });

  await writeFile(stack.configurationPath, 'sources: [broken');
  broker.program.signal('SIGHUP');
  await broker.program.waitForLine(/configuration: refused/);
  await ask(ops, 'ops', 'later');

  await writeFile(stack.configurationPath, good);
  broker.program.signal('SIGHUP');
  await eventually(async () => expect(ask(ops, 'ops', 'later')).rejects.toThrow('UNKNOWN_SOURCE'), {
    what: 'the old file to be in force again',
    withinMs: 10_000,
  });
  await broker.program.stop();
});

it('waits for servers that are away at the start, and serves when they have come', async () => {
  await Promise.all([stack.nats.kill('SIGKILL'), stack.redis.kill('SIGKILL')]);
  const program = runBroker(stack.configurationPath);
  const line = await program.waitForLine(/"msg":"http: listening"/);
  const { address } = JSON.parse(line) as { address: string };
  const status = async (path: string): Promise<number> => (await fetch(`http://${address}${path}`)).status;
  expect([await status('/livez'), await status('/readyz')]).toEqual([200, 503]);
  await Promise.all([stack.nats.restart(), stack.redis.restart()]);
  await eventually(async () => (await status('/readyz')) === 200, { what: 'the broker to be ready', withinMs: 20_000 });
  await program.stop();
});
