import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { decode, encode } from '../decoding.js';
import { LIMITS } from '../limits.js';
import {
  heartbeatSchema,
  invalidationSchema,
  pushedTokenSchema,
  receiptSchema,
  refreshedEventSchema,
} from './events.js';
import {
  isUsualHeartbeat,
  isUsualInvalidation,
  isUsualPushedToken,
  isUsualReceipt,
  isUsualRefreshedEvent,
} from './usual-events.js';

const SLOT = 'abcdefghijklmnopqrstuv';
const change = { partition: 0, epoch: 1, vseq: 2, floor: 3 };
const push = { channelVersion: 1, sealed: Buffer.alloc(50).toString('base64url') };
const timing = { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };

interface Kind {
  readonly name: string;
  readonly schema: z.ZodObject;
  readonly isUsual: (value: unknown) => value is never;
  /** As brokers write it, in all its forms. */
  readonly messages: readonly Readonly<Record<string, unknown>>[];
}

const KINDS: readonly Kind[] = [
  {
    name: 'a heartbeat',
    schema: heartbeatSchema,
    isUsual: isUsualHeartbeat as Kind['isUsual'],
    messages: [{ v: 1, broker: 'b1', ageMs: 0, atMs: 1, epochs: [1, 1], vseqs: [0, 9], timing }],
  },
  {
    name: 'an invalidation',
    schema: invalidationSchema,
    isUsual: isUsualInvalidation as Kind['isUsual'],
    messages: [
      { v: 1, id: 'r1', changes: [{ ...change, slot: SLOT }] },
      { v: 1, id: 'r1', changes: [change, { ...change, sources: ['a', 'b'] }], ackTo: 'b1', receipts: true },
    ],
  },
  {
    name: 'the word of a newer token',
    schema: refreshedEventSchema,
    isUsual: isUsualRefreshedEvent as Kind['isUsual'],
    messages: [{}, { push }].map((more) => ({
      ...{ v: 1, kind: 'refreshed', source: 'payments', slot: SLOT, partition: 1, epoch: 1, generation: 2, asOf: 3 },
      ...{ expiresAtMs: 4, lifeMs: 5, ...more },
    })),
  },
  {
    name: 'a pushed token',
    schema: pushedTokenSchema,
    isUsual: isUsualPushedToken as Kind['isUsual'],
    messages: [{}, { scope: 'a b' }, { username: 'app', scope: '' }].map((more) => ({
      ...{ accessToken: 'token', tokenType: 'Bearer', ...more },
    })),
  },
  {
    name: 'a receipt',
    schema: receiptSchema,
    isUsual: isUsualReceipt as Kind['isUsual'],
    messages: [{ v: 1, id: 'r1', instance: 'i1' }],
  },
];

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    undefined,
    '',
    'a b',
    'a\nb',
    'x'.repeat(65),
    'x'.repeat(1_000),
    0,
    -1,
    1.5,
    1_024,
    true,
    null,
    [],
    {},
    [-1],
    [null],
  ),
  fc.constantFrom<unknown>(
    [change],
    [{ ...change, slot: 'short' }],
    [{ ...change, more: 1 }],
    [{ ...change, sources: [1] }],
  ),
  fc.constantFrom<unknown>({ ...timing, tickMs: 0 }, { ...timing, more: 0 }, timing, [1, 2, 3]),
  fc
    .string({ unit: fc.constantFrom('A', '-', '_', '+', '/', '='), maxLength: 6 })
    .map((sealed) => ({ ...push, sealed })),
  fc.constantFrom<unknown>({ ...push, more: 1 }, { ...push, channelVersion: -1 }),
);

/** A message of this kind in which up to two fields are something else, or are not there. */
function changed({ messages }: Kind): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const names = [...new Set(messages.flatMap((message) => Object.keys(message))), 'more', 'constructor'];
  return fc
    .tuple(fc.constantFrom(...messages), fc.dictionary(fc.constantFrom(...names), odd, { maxKeys: 2 }))
    .map(([message, other]) => ({ ...message, ...other }));
}

describe.each(KINDS)('$name that is usual', (kind) => {
  const { schema, isUsual, messages } = kind;

  it('is known without the schema', () => {
    expect(messages.map((message) => isUsual(message))).toEqual(messages.map(() => true));
  });

  it('has every field that there is, so that none makes it unusual', () => {
    const named = new Set(messages.flatMap((message) => Object.keys(message)));
    expect([...named].sort()).toEqual(Object.keys(schema.shape).sort());
  });

  it('is what the schema takes as it is, with no other field: whatever stands in it', () => {
    let known = 0;
    fc.assert(
      fc.property(changed(kind), (message) => {
        const sent: unknown = JSON.parse(JSON.stringify(message));
        if (!isUsual(sent)) return;
        known++;
        expect(schema.safeParse(sent)).toEqual({ success: true, data: sent });
      }),
      { numRuns: 3_000 },
    );
    expect(known).toBeGreaterThan(300);
  });

  it('is read to the same end as by the schema alone, forbidden names included', () => {
    fc.assert(
      fc.property(changed(kind), (message) => {
        const bytes = encode(message);
        expect(decode(schema, bytes, LIMITS.replyBytes, isUsual)).toEqual(decode(schema, bytes, LIMITS.replyBytes));
      }),
      { numRuns: 1_000 },
    );
  });
});
