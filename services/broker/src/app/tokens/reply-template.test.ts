import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ReplyTemplate } from './reply-template.js';

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const moment = fc.record({
  asOf: number,
  expiresInMs: number,
  atMs: number,
  heldMs: number,
  verified: fc.boolean(),
});
const fixed = fc.record({
  v: fc.constant(1),
  accessToken: fc.string({ unit: 'binary', minLength: 1 }),
  scope: fc.option(fc.string({ unit: 'grapheme' }), { nil: null }),
});

const TIMING = { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 };
const FIXED = { v: 1, timing: TIMING };

const parse = (reply: Uint8Array): unknown => JSON.parse(Buffer.from(reply).toString('utf8'));

it('renders what was put in, whatever the token and the numbers', () => {
  fc.assert(
    fc.property(fixed, fc.array(moment, { minLength: 1 }), (members, moments) => {
      const template = new ReplyTemplate(members, TIMING);
      // What JSON cannot carry (lone surrogates) is told apart from what the template would have broken.
      const carried = JSON.parse(Buffer.from(JSON.stringify(members)).toString('utf8')) as object;
      for (const at of moments) expect(parse(template.render(at))).toEqual({ ...carried, timing: TIMING, ...at });
    }),
  );
});

it('gives back what it was made of', () => {
  fc.assert(
    fc.property(fixed, (members) => {
      expect(new ReplyTemplate(members, TIMING).members()).toEqual(members);
    }),
  );
});

it('shares no memory between two renderings: a connection may still hold the first', () => {
  const template = new ReplyTemplate({ accessToken: 'ä€😀' }, TIMING);
  const at = { asOf: 1, expiresInMs: 2, atMs: 3, heldMs: 4, verified: true };
  const first = template.render(at);
  const copy = Buffer.from(first);
  const second = template.render({ ...at, expiresInMs: 999, verified: false });
  second.fill(0);
  expect(Buffer.from(first).equals(copy)).toBe(true);
});

it('rounds down, so that no life is overstated, and says nothing below zero', () => {
  const template = new ReplyTemplate({ v: 1 }, TIMING);
  const at = { asOf: 1, expiresInMs: 1_999.9, atMs: 3.5, heldMs: -1, verified: true };
  expect(parse(template.render(at))).toEqual({
    ...FIXED,
    asOf: 1,
    expiresInMs: 1_999,
    atMs: 3,
    heldMs: 0,
    verified: true,
  });
});

it('is made once for all callers of one millisecond, and never changed for those of the next', () => {
  const template = new ReplyTemplate({ v: 1 }, TIMING);
  const at = { asOf: 1, expiresInMs: 2_000.9, atMs: 3.1, heldMs: 0, verified: true };
  const first = template.render(at);
  expect(template.render({ ...at, expiresInMs: 2_000.2, atMs: 3.8 })).toBe(first);
  const text = Buffer.from(first).toString();
  for (const change of [{ asOf: 2 }, { expiresInMs: 1_999 }, { atMs: 4 }, { heldMs: 1 }, { verified: false }]) {
    const other = template.render({ ...at, ...change });
    expect(parse(other)).toEqual({
      ...FIXED,
      asOf: 1,
      expiresInMs: 2_000,
      atMs: 3,
      heldMs: 0,
      verified: true,
      ...change,
    });
  }
  expect(Buffer.from(first).toString()).toBe(text);
});

it('keeps replies at hand of those that were asked for last, and no others', () => {
  const at = { asOf: 1, expiresInMs: 2_000, atMs: 3, heldMs: 0, verified: true };
  const template = new ReplyTemplate({ v: 1 }, TIMING);
  const first = template.render(at);
  const others = Array.from({ length: 2_000 }, (_, index) => new ReplyTemplate({ index }, TIMING));
  for (const other of others) other.render(at);
  expect(template.render(at)).not.toBe(first);
  expect(others.at(-1)?.render(at)).toBe(others.at(-1)?.render(at));
});
