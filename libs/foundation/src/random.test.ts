import { describe, expect, it } from 'vitest';
import { randomId } from './random.js';
import { systemRandom } from './system-random.js';

describe('randomId', () => {
  it('is 128 bits in base64url, safe as a token of a NATS subject and a part of a key', () => {
    const ids = Array.from({ length: 1_000 }, () => randomId(systemRandom));
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is made of the bytes that it is given', () => {
    expect(randomId({ uniform: () => 0, bytes: (length) => new Uint8Array(length).fill(255) })).toBe(
      '_____________________w',
    );
  });
});

describe('the system’s randomness', () => {
  it('draws from [0, 1)', () => {
    for (let draw = 0; draw < 1_000; draw++) {
      const value = systemRandom.uniform();
      expect(value >= 0 && value < 1).toBe(true);
    }
  });

  it('gives as many bytes as asked for', () => {
    expect([0, 1, 12, 32].map((length) => systemRandom.bytes(length).length)).toEqual([0, 1, 12, 32]);
  });
});
