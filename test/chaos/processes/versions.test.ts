import { decode, encode, LIMITS } from '@token-broker/protocol';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { goldenFiles, messages } from '../../golden/contract.js';
import { ask } from '../../integration/asking.js';
import { startStack, type Stack } from '../../integration/stack.js';
import { goldenDataSet, goldenSettings, openGolden, restore } from './golden-data-set.js';
import { startReplica, stopReplicas, type Replica } from './replicas.js';
import { lookIntoRedis } from './stored-record.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const golden = goldenDataSet();
const { token, slot, recordKey, metaKey } = golden;
const generation = Number(golden.hashes[recordKey]?.['generation']);
const epoch = Number(golden.hashes[recordKey]?.['epoch']);

let stack: Stack | undefined;
let redis: Redis | undefined;
const replicas: Replica[] = [];

afterEach(async () => {
  redis?.disconnect();
  redis = undefined;
  await stopReplicas(replicas.splice(0));
  await stack?.stop();
  stack = undefined;
});

async function startOnGoldenData(
  content: object = {},
  change: (redis: Redis) => Promise<unknown> = async () => undefined,
): Promise<Stack> {
  stack = await startStack({ brokers: 0, configure: (settings) => goldenSettings(golden, settings) });
  redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  await restore(redis, golden, content);
  await change(redis);
  replicas.push(await startReplica(stack.configurationPath));
  return stack;
}

describe('F35: what version 1 has written', () => {
  it('is sealed as it says', () => {
    expect(openGolden(golden)).toBe(golden.plaintext);
    expect(JSON.parse(golden.plaintext)).toMatchObject({
      token: { accessToken: token.accessToken, tokenType: token.tokenType },
      lifeMs: token.lifeMs,
    });
  });

  it('is served by this version, with no call of an identity provider', async () => {
    // There is none: whoever called it would answer with an error.
    const servers = await startOnGoldenData();
    expect(await ask(await servers.connectAs('orders'), 'orders', 'payments-api')).toMatchObject({
      accessToken: token.accessToken,
      tokenType: token.tokenType,
      slot,
      epoch,
      generation,
    });
  });
});

describe('F35: what a later version adds', () => {
  it('to a record, in it and beside it, does not keep this version from serving it', async () => {
    const content = {
      token: { accessToken: 'later', tokenType: 'Bearer', laterField: 'of a token' },
      parameters: { laterField: ['of the parameters'] },
      laterField: { of: 'the record' },
    };
    const servers = await startOnGoldenData(content, async (server) => {
      await server.hset(recordKey, { laterField: 'beside the record' });
      await server.hset(metaKey, { laterField: 'of the partition' });
      await server.set(recordKey.replace(':record:', ':later:'), 'a key of another kind');
    });
    expect(await ask(await servers.connectAs('orders'), 'orders', 'payments-api')).toMatchObject({
      accessToken: 'later',
      generation,
    });
  });

  // Requests are read strictly, by the contract: brokers are upgraded before the clients that say more to them.
  it.each(goldenFiles().filter(({ message }) => !message.endsWith('-request')))(
    'to every object of the golden $name is overlooked',
    ({ message, bytes, decoded }) => {
      const schema = messages.get(message);
      if (schema === undefined) throw new Error(`no message ${message}`);
      const later = withLaterFields(JSON.parse(Buffer.from(bytes).toString()));
      const read = decode(schema, encode(later), LIMITS.replyBytes);
      expect(read.ok ? withoutLaterFields(read.value) : read.error).toEqual(decoded);
    },
  );

  it('as another layout of a record is a miss: fetched once, written as this version writes it, and no error', async () => {
    stack = await startStack({ brokers: 0 });
    redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
    const stored = lookIntoRedis(stack, 'payments-api');
    const orders = await stack.connectAs('orders');
    const writer = await startReplica(stack.configurationPath);
    replicas.push(writer);
    const first = await ask(orders, 'orders', 'payments-api');
    await writer.kill();
    const sealed = await redis.hgetBuffer(stored.recordKey, 'sealed');
    if (sealed === null) throw new Error('no record');
    sealed.writeUInt8(2, 0);
    await redis.hset(stored.recordKey, 'sealed', sealed);

    const reader = await startReplica(stack.configurationPath);
    replicas.push(reader);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(orders, 'orders', 'payments-api')));
    expect(new Set(answers.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(answers[0]?.generation).toBeGreaterThan(first.generation);
    expect(stack.idpCalls()).toBe(2);
    expect(await reader.metric('token_broker_records_unreadable_total', { reason: 'later-layout' })).toBeGreaterThan(0);
    // A third replica, which has nothing in its memory, reads what the second has written.
    await reader.kill();
    replicas.push(await startReplica(stack.configurationPath));
    expect((await ask(orders, 'orders', 'payments-api')).accessToken).toBe(answers[0]?.accessToken);
    expect(stack.idpCalls()).toBe(2);
    stored.close();
  });
});

/** The same value with one more field in each object. */
function withLaterFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withLaterFields);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, withLaterFields(field)] as const);
  return { ...Object.fromEntries(fields), laterField: { laterFieldToo: [1, 'two', null] } };
}

function withoutLaterFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutLaterFields);
  if (typeof value !== 'object' || value === null) return value;
  const known = Object.entries(value).filter(([name]) => name !== 'laterField');
  return Object.fromEntries(known.map(([name, field]) => [name, withoutLaterFields(field)]));
}
