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
    const lengths = [0, 1, 12, 32, 4_095, 4_096, 4_097, 10_000];
    expect(lengths.map((length) => systemRandom.bytes(length).length)).toEqual(lengths);
  });

  it('gives no bytes twice, and takes none back', () => {
    const drawn = Array.from({ length: 2_000 }, () => systemRandom.bytes(12));
    const texts = drawn.map((bytes) => Buffer.from(bytes).toString('hex'));
    expect(new Set(texts).size).toBe(texts.length);
    systemRandom.bytes(100_000);
    expect(drawn.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(texts);
  });
});
