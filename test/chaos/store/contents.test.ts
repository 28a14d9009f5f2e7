import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import type { Settings } from '../../integration/stack.js';
import { codesOf, refusalsIn, generationsOf, tokensOf } from './load.js';
import { replaceReplicas, startStoreStack, totalOf, type StoreStack } from './store-stack.js';
import { storedRecord, type StoredRecord } from './stored-record.js';

const BROKERS = 2;
/** Requests enough to reach every replica. */
const MANY = 16;
/** Life of the tokens, in seconds. */
const LIFE_SECONDS = 600;

type Change = (record: StoredRecord, other: StoredRecord) => Promise<unknown>;

/** What can be found in place of a record, as a source's name in which it happens. */
const SET_ASIDE: Readonly<Record<string, Change>> = {
  'of-another-type': async ({ key }) => {
    await stack.direct.del(key);
    await stack.direct.set(key, 'not a hash');
  },
  truncated: ({ key, sealed }) => stack.direct.hset(key, 'sealed', sealed.subarray(0, sealed.length / 2)),
  empty: ({ key }) => stack.direct.hset(key, 'sealed', ''),
  // Older replicas fetch for themselves, and write what later ones can read.
  'of-a-future-version': ({ key, sealed }) =>
    stack.direct.hset(key, 'sealed', Buffer.concat([Buffer.of(2), sealed.subarray(1)])),
  'bit-flipped': ({ key, sealed }) => stack.direct.hset(key, 'sealed', flipped(sealed, sealed.length - 1)),
  'bit-flipped-in-the-nonce': ({ key, sealed }) => stack.direct.hset(key, 'sealed', flipped(sealed, 6)),
  'copied-from-another-key': async ({ key, fields }, other) => {
    await stack.direct.hset(key, { ...other.fields, epoch: fields['epoch'], recipe: fields['recipe'] });
  },
  'generation-is-no-number': ({ key }) => stack.direct.hset(key, 'generation', 'latest'),
  'generation-is-infinite': ({ key }) => stack.direct.hset(key, 'generation', 'inf'),
  'generation-is-negative': ({ key }) => stack.direct.hset(key, 'generation', '-1'),
  'generation-is-greater': ({ key, generation }) =>
    stack.direct.hset(key, 'generation', `9${String(generation).slice(1)}`),
  'expiry-is-later': ({ key, fields }) =>
    stack.direct.hset(key, 'expiresAt', String(Number(fields['expiresAt']?.toString()) + 10 * LIFE_SECONDS * 1_000)),
  'without-an-end': async ({ key }) => {
    await stack.direct.persist(key);
    const past = String(Date.parse('2020-01-01'));
    await stack.direct.hset(key, { usableUntil: past, expiresAt: past });
  },
  'flight-of-another-type': async ({ key }) => {
    await stack.direct.del(key);
    await stack.direct.set(key.replace(':record:', ':flight:'), 'not a hash');
  },
  'channel-of-another-type': async ({ key }) => {
    await stack.direct.del(key, key.replace(':record:', ':channel:'));
    await stack.direct.set(key.replace(':record:', ':channel:'), 'not a hash');
  },
};

/** What another replica may be able to read: it is refused, and kept. */
const REFUSED: Readonly<Record<string, (sealed: Buffer) => Buffer>> = {
  // Sealed under a key that is called k9 in place of k1.
  'under-an-unknown-key': (sealed) => Buffer.concat([sealed.subarray(0, 3), Buffer.from('9'), sealed.subarray(4)]),
};

let stack: StoreStack;
let ops: RawCaller;
const slots = new Map<string, string>();

beforeAll(async () => {
  const names = [...Object.keys(SET_ASIDE), ...Object.keys(REFUSED), 'other'];
  stack = await startStoreStack({
    brokers: BROKERS,
    tokenLifeSeconds: LIFE_SECONDS,
    configure: (settings) => {
      const { 'payments-api': source } = settings['sources'] as Record<string, Settings>;
      const quiet = { ...source, refresh: { ahead: 'off' } };
      return {
        ...settings,
        sources: {
          'payments-api': quiet,
          'orders-api': quiet,
          ...Object.fromEntries(names.map((name) => [name, quiet])),
        },
      };
    },
  });
  ops = createRawCaller(await stack.connectAs('ops'), 'ops');
  for (const name of names) slots.set(name, (await ops.token(subjects.get('ops', name))).slot);
  // From here on nobody holds anything but Redis.
  await replaceReplicas(stack);
});
afterAll(() => stack.stop());

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0b100;
  return copy;
}

async function recordOf(source: string): Promise<StoredRecord> {
  const record = await storedRecord(stack.direct, slots.get(source) ?? '');
  if (record === undefined) throw new Error(`there is no record of ${source}`);
  return record;
}

const answers = (source: string): Promise<Awaited<ReturnType<RawCaller['answer']>>[]> =>
  Promise.all(Array.from({ length: MANY }, () => ops.answer(subjects.get('ops', source))));

describe('R4: a record that is not as it was written', () => {
  it.each(Object.entries(SET_ASIDE))(
    '%s: is set aside, at the price of one call, and the next call hits',
    async (source, change) => {
      const record = await recordOf(source);
      await change(record, await recordOf('other'));
      const calls = stack.idpCalls();
      const first = await answers(source);
      expect(refusalsIn(first)).toEqual([]);
      expect(generationsOf(first).size).toBe(1);
      expect(tokensOf(first).size).toBe(1);
      expect(stack.idpCalls() - calls).toBe(1);
      const lives = first.map((reply) => ('error' in reply ? 0 : reply.expiresInMs));
      expect(Math.max(...lives)).toBeLessThanOrEqual(LIFE_SECONDS * 1_000);
      const again = await answers(source);
      expect(generationsOf(again)).toEqual(generationsOf(first));
      expect(stack.idpCalls() - calls).toBe(1);
      const after = await recordOf(source);
      expect(new Set([after.generation])).toEqual(generationsOf(first));
      expect(await stack.direct.pttl(after.key)).toBeGreaterThan(0);
      expect(await stack.direct.pttl(after.key)).toBeLessThanOrEqual(LIFE_SECONDS * 1_000);
    },
  );

  it.each(['of-another-type', 'flight-of-another-type', 'channel-of-another-type'])(
    '%s: is kept for whoever wants to look, for a day',
    async (source) => {
      const [key, ...more] = await stack.direct.keys(`{test:*}:*:${slots.get(source) ?? ''}:set-aside`);
      expect(more).toEqual([]);
      expect(await stack.direct.get(key ?? '')).toBe('not a hash');
      expect(await stack.direct.ttl(key ?? '')).toBeGreaterThan(86_000);
    },
  );

  it('is counted, and said in the log without anything of it', async () => {
    expect(await totalOf(stack, 'token_broker_records_unreadable_total', { reason: 'corrupt' })).toBeGreaterThanOrEqual(
      5,
    );
    expect(stack.logLines.filter((line) => line.includes('a record cannot be opened')).length).toBeGreaterThanOrEqual(
      5,
    );
  });
});

describe('a record that another replica may read', () => {
  it.each(Object.entries(REFUSED))(
    '%s: is refused, without a call, and is there when it can be read again',
    async (source, change) => {
      const { key, sealed, generation } = await recordOf(source);
      const foreign = change(sealed);
      await stack.direct.hset(key, 'sealed', foreign);
      const calls = stack.idpCalls();
      const refused = await answers(source);
      expect(codesOf(refused)).toEqual(new Set(['STORE_UNAVAILABLE']));
      expect(generationsOf(refused).size).toBe(0);
      expect((await recordOf(source)).sealed).toEqual(foreign);
      await stack.direct.hset(key, 'sealed', sealed);
      expect(generationsOf(await answers(source))).toEqual(new Set([generation]));
      expect(stack.idpCalls()).toBe(calls);
      expect(await totalOf(stack, 'token_broker_records_unreadable_total', { reason: 'unknown-key' })).toBeGreaterThan(
        0,
      );
    },
  );
});

it('a partition whose own data is of another type is refused, with the command and the reason in the log', async () => {
  const { key } = await recordOf('other');
  const meta = `${key.split(':record:')[0] ?? ''}:meta`;
  await stack.direct.del(meta);
  await stack.direct.set(meta, 'not a hash');
  expect(codesOf(await answers('other'))).toEqual(new Set(['STORE_UNAVAILABLE']));
  expect(stack.logLines.some((line) => line.includes('"reason":"read: WRONGTYPE'))).toBe(true);
  await stack.direct.del(meta);
  // A new epoch: nothing of the old one counts.
  const calls = stack.idpCalls();
  expect(refusalsIn(await answers('other'))).toEqual([]);
  expect(stack.idpCalls() - calls).toBe(1);
});
