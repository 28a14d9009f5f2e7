import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, encode } from '../decoding.js';
import { LIMITS } from '../limits.js';
import { getReplySchema, tokenReplySchema } from './get.js';
import { isUsualTokenReply } from './token-reply.js';

const usual = {
  v: 1,
  slot: 'abcdefghijklmnopqrstuv',
  partition: 1_023,
  epoch: 1,
  generation: Number.MAX_SAFE_INTEGER,
  asOf: 0,
  expiresInMs: 1,
  lifeMs: 1,
  atMs: 1,
  heldMs: 0,
  verified: true,
  accessToken: 'x',
  tokenType: 'Bearer',
};
const channel = { version: 1, key: Buffer.alloc(32).toString('base64url') };
const timing = { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(undefined, '', 'a b', 0, -1, 1.5, 1_024, 2 ** 53, true, null, [], {}, channel, timing),
  fc.record(
    { version: fc.nat(), key: fc.constantFrom('', channel.key, `${channel.key.slice(1)}/`), more: fc.nat() },
    { requiredKeys: [] },
  ),
  fc.record(
    { tickMs: fc.nat({ max: 2 }), maxStalenessMs: fc.nat(), minLifetimeMs: fc.integer(), more: fc.nat() },
    { requiredKeys: [] },
  ),
);
const names = [...Object.keys(usual), 'channel', 'timing', 'scope', 'username', 'error', 'more', 'constructor'];
/** Usual replies in which some fields are something else, or are not there. */
const replies = fc
  .tuple(
    fc.record({ channel: fc.constant(channel), timing: fc.constant(timing) }, { requiredKeys: [] }),
    fc.dictionary(fc.constantFrom(...names), odd, { maxKeys: 2 }),
  )
  .map(([more, changed]) => ({ ...usual, ...more, ...changed }));

describe('a token reply that is usual', () => {
  it.each([
    ['nothing more', {}],
    ['a channel', { channel }],
    ['all that brokers write', { channel, timing, scope: 'payments:read' }],
  ])('is known without the schema, with %s', (_what, more) => {
    expect(isUsualTokenReply({ ...usual, ...more })).toBe(true);
  });

  it('has every field that there is but the name of a user, so that none makes it unusual', () => {
    const known = [...Object.keys({ ...usual, channel, timing, scope: '' }), 'username'];
    expect(known.sort()).toEqual(Object.keys(tokenReplySchema.shape).sort());
  });

  it('is what the schema takes as it is, with no other field: whatever stands in it', () => {
    let known = 0;
    fc.assert(
      fc.property(replies, (reply) => {
        const sent: unknown = JSON.parse(JSON.stringify(reply));
        if (!isUsualTokenReply(sent)) return;
        known++;
        expect(getReplySchema.safeParse(sent)).toEqual({ success: true, data: sent });
      }),
      { numRuns: 5_000 },
    );
    expect(known).toBeGreaterThan(500);
  });

  it('is read to the same end as by the schema alone, forbidden names included', () => {
    fc.assert(
      fc.property(replies, (reply) => {
        const bytes = encode(reply);
        expect(decode(getReplySchema, bytes, LIMITS.replyBytes, isUsualTokenReply)).toEqual(
          decode(getReplySchema, bytes, LIMITS.replyBytes),
        );
      }),
      { numRuns: 1_000 },
    );
  });
});
