import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditRecord } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PASSWORD, startStack, type Stack } from './stack.js';
import { tokenctl, tokenctlAs } from './tokenctl.js';

const STREAM = 'TOKEN_BROKER_AUDIT';
const SUBJECT = 'token-broker.v1.audit';

let folder = '';
let stack: Stack;
let root: NatsConnection;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-broker-stream-'));
  stack = await startStack({
    brokers: 1,
    nats: `jetstream { store_dir: "${folder}" }`,
    configure: (settings) => ({ ...settings, audit: { file: 'none', stream: { name: STREAM } } }),
  });
  await stack.changeNatsUsers((users) => [...users, { user: 'root', password: PASSWORD }]);
  root = await stack.connectAs('root');
});
afterAll(async () => {
  await stack.stop();
  await rm(folder, { recursive: true });
});

async function recordsOf(...filter: string[]): Promise<AuditRecord[]> {
  const { code, out, err } = await tokenctl(stack, ['audit', '--stream', STREAM, '--json', ...filter]);
  expect([code, err]).toEqual([0, '']);
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
}

const revoke = async (reason: string): Promise<unknown> =>
  (await stack.operator()).revoke({ selector: { source: 'payments-api' }, reason });

it('revokes also where there is no stream, and says that it is not audited', async () => {
  expect(await revoke('without a stream')).toMatchObject({ complete: true, audited: false });
  expect((await tokenctl(stack, ['audit', '--stream', STREAM])).code).not.toBe(0);
});

it('keeps the records of before once there is one, each once, and those that come', async () => {
  const manager = await root.jetstreamManager();
  await manager.streams.add({ name: STREAM, subjects: [SUBJECT] });
  await eventually(async () => (await manager.streams.info(STREAM)).state.messages >= 3, {
    what: 'the records that waited',
  });
  expect(await revoke('with a stream')).toMatchObject({ complete: true, audited: true });
  const records = await recordsOf('--event', 'revocation');
  expect(records.map(({ event, by, reason }) => [event, by, reason])).toEqual([
    ['revocation.ordered', 'ops', 'without a stream'],
    ['revocation.ended', 'ops', undefined],
    ['revocation.ordered', 'ops', 'with a stream'],
    ['revocation.ended', 'ops', undefined],
  ]);
  expect(new Set(records.map(({ id }) => id)).size).toBe(4);
});

it('is read from a moment on', async () => {
  const all = await recordsOf();
  expect(await recordsOf('--since', '1h')).toEqual(all);
  const manager = await root.jetstreamManager();
  // A gap, as a stream with limits has them.
  const { state } = await manager.streams.info(STREAM);
  await manager.streams.deleteMessage(STREAM, state.first_seq + 1);
  expect(await recordsOf('--since', '1h')).toHaveLength(all.length - 1);
});

it('is read by operators, and by nobody else', async () => {
  const run = await tokenctlAs('orders', stack, ['audit', '--stream', STREAM, '--json']);
  expect([run.code, JSON.parse(run.out)]).toMatchObject([4, { error: { code: 'NATS_DENIED' } }]);
});
