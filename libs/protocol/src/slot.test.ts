import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlot } from './identifiers.js';
import { normaliseScopes, partitionOf, slotOf, subjectHashOf } from './slot.js';

const scope = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ':', '/', '.'), minLength: 1, maxLength: 4 });
const scopes = fc.array(scope, { minLength: 1, maxLength: 5 });

describe('slotOf', () => {
  it('never lets ["a","bc"] and ["ab","c"] share a slot (K3)', () => {
    expect(slotOf('s', { scopes: ['a', 'bc'] })).not.toBe(slotOf('s', { scopes: ['ab', 'c'] }));
  });

  it('lets reordered and repeated scopes share one (K4)', () => {
    const slot = slotOf('s', { scopes: ['write', 'read'] });
    expect(slotOf('s', { scopes: ['read', 'write'] })).toBe(slot);
    expect(slotOf('s', { scopes: ['read', 'write', 'read'] })).toBe(slot);
  });

  it.each([
    ['the trailing slash of an audience', { audience: 'https://a' }, { audience: 'https://a/' }],
    ['the case of an audience', { audience: 'https://a' }, { audience: 'https://A' }],
    ['the composition of a character', { audience: 'caf\u00e9' }, { audience: 'cafe\u0301' }],
    ['the trailing slash of a resource', { resource: 'https://a' }, { resource: 'https://a/' }],
    ['an audience and a resource', { audience: 'https://a' }, { resource: 'https://a' }],
    ['the case of a scope', { scopes: ['read'] }, { scopes: ['Read'] }],
    ['no scopes and an empty list', {}, { scopes: [] }],
    ['a subject and another', { subjectHash: 'x' }, { subjectHash: 'y' }],
    ['a subject and none', { subjectHash: 'x' }, {}],
  ])('tells %s apart: they are compared exactly', (_what, one, other) => {
    expect(slotOf('s', one)).not.toBe(slotOf('s', other));
  });

  it('tells sources apart, also where a name continues in the parameters', () => {
    expect(slotOf('a')).not.toBe(slotOf('b'));
    expect(slotOf('a","b')).not.toBe(slotOf('a', { scopes: ['b'] }));
  });

  it('shares a slot between two lists of scopes exactly when they are the same set', () => {
    fc.assert(
      fc.property(scopes, scopes, (one, other) => {
        const isSame = new Set(one).size === new Set(other).size && one.every((member) => other.includes(member));
        expect(slotOf('s', { scopes: one }) === slotOf('s', { scopes: other })).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  it('shares a slot between two requests exactly when all of their parameters are the same', () => {
    const value = fc.option(fc.constantFrom('a', 'b', 'a"', 'null'), { nil: undefined });
    const request = fc.record({ audience: value, resource: value, subjectHash: value });
    const defined = (parameters: Record<string, string | undefined>): Record<string, string> =>
      Object.fromEntries(
        Object.entries(parameters).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])),
      );
    fc.assert(
      fc.property(request, request, (one, other) => {
        const isSame = (['audience', 'resource', 'subjectHash'] as const).every((name) => one[name] === other[name]);
        expect(slotOf('s', defined(one)) === slotOf('s', defined(other))).toBe(isSame);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is what the contract says: SHA-256 over a JSON array, cut to 128 bits, in base64url', () => {
    const text = '["token-broker.slot.v1","payments-api",["a","b"],"https://é",null,null]';
    const digest = createHash('sha256').update(Buffer.from(text, 'utf8')).digest();
    const slot = slotOf('payments-api', { scopes: ['b', 'a'], audience: 'https://é' });
    expect(slot).toBe(digest.subarray(0, 16).toString('base64url'));
    expect(isSlot(slot)).toBe(true);
  });
});

describe('subjectHashOf', () => {
  const token = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), minLength: 1, maxLength: 5 });

  it('is the SHA-256 of a subject token alone, as it has been before there were actors', () => {
    expect(subjectHashOf('test')).toBe(createHash('sha256').update('test').digest('base64url'));
  });

  it('is shared by two pairs exactly when both tokens are the same', () => {
    const pair = fc.tuple(token, fc.option(token, { nil: undefined }));
    fc.assert(
      fc.property(pair, pair, (one, other) => {
        const isSame = one[0] === other[0] && one[1] === other[1];
        expect(subjectHashOf(...one) === subjectHashOf(...other)).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  it('holds nothing of the tokens', () => {
    expect(subjectHashOf('canary-subject', 'canary-actor')).toMatch(/^(?!.*canary)[A-Za-z0-9_-]{43}$/);
  });
});

describe('normaliseScopes', () => {
  it('sorts by code unit, not by the customs of a language, and leaves its argument alone', () => {
    const given = ['b', 'a', 'B', 'a', '_'];
    expect(normaliseScopes(given)).toEqual(['B', '_', 'a', 'b']);
    expect(given).toEqual(['b', 'a', 'B', 'a', '_']);
  });
});

describe('partitionOf', () => {
  it('is the first 32 bits of the slot, big endian, modulo the partitions', () => {
    const slot = Buffer.from('00000011ffffffffffffffffffffffff', 'hex').toString('base64url');
    expect(partitionOf(slot, 16)).toBe(1);
    expect(partitionOf(slot, 1_024)).toBe(17);
    const high = Buffer.from('ffffffff000000000000000000000000', 'hex').toString('base64url');
    expect(partitionOf(high, 16)).toBe(15);
    expect(partitionOf(high, 7)).toBe(0xffffffff % 7);
  });

  it('spreads slots evenly over the partitions', () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) {
      const partition = partitionOf(slotOf('s', { audience: String(i) }), 16);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});
