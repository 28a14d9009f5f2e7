import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAesGcm } from './aes-gcm.js';
import { systemRandom } from './system-random.js';

const aead = createAesGcm(systemRandom);
const key = systemRandom.bytes(32);
const plaintext = Buffer.from('a token that nobody else may read');
const additionalData = Buffer.from('slot 1, generation 2');
const OVERHEAD_BYTES = 12 + 16;

const bytes = (options: { maxLength: number }) => fc.uint8Array(options);
const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

function flipped(data: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(data);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

describe('AES-GCM', () => {
  it('opens what it sealed, whatever that is', () => {
    fc.assert(
      fc.property(key32, bytes({ maxLength: 300 }), bytes({ maxLength: 100 }), (secret, plain, bound) => {
        const sealed = aead.seal(secret, plain, bound);
        expect(sealed.length).toBe(plain.length + OVERHEAD_BYTES);
        expect(Buffer.from(aead.open(secret, sealed, bound) ?? [])).toEqual(Buffer.from(plain));
      }),
    );
  });

  it('does not open with a single bit changed, wherever it is: nonce, ciphertext or tag', () => {
    const sealed = aead.seal(key, plaintext, additionalData);
    const opened = Array.from({ length: sealed.length * 8 }, (_, bit) => bit).filter(
      (bit) => aead.open(key, flipped(sealed, bit), additionalData) !== undefined,
    );
    expect(opened).toEqual([]);
  });

  it('does not open with another bit of the key or of the additional data', () => {
    const sealed = aead.seal(key, plaintext, additionalData);
    for (let bit = 0; bit < key.length * 8; bit++)
      expect(aead.open(flipped(key, bit), sealed, additionalData)).toBeUndefined();
    for (let bit = 0; bit < additionalData.length * 8; bit++)
      expect(aead.open(key, sealed, flipped(additionalData, bit))).toBeUndefined();
  });

  it('does not open what is cut short or made longer, down to nothing', () => {
    const sealed = aead.seal(key, plaintext, additionalData);
    for (let length = 0; length < sealed.length; length++)
      expect(aead.open(key, sealed.subarray(0, length), additionalData)).toBeUndefined();
    expect(aead.open(key, Buffer.concat([sealed, Buffer.of(0)]), additionalData)).toBeUndefined();
  });

  it('takes a fresh nonce for each seal', () => {
    const nonces = Array.from({ length: 1_000 }, () =>
      Buffer.from(aead.seal(key, plaintext, additionalData).subarray(0, 12)).toString('hex'),
    );
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  it('is AES-256-GCM of NIST SP 800-38D: the test case 16 of its authors', () => {
    const vector = {
      key: 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
      nonce: 'cafebabefacedbaddecaf888',
      additionalData: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
      plaintext:
        'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
      ciphertext:
        '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
      tag: '76fc6ece0f4e1768cddf8853bb2d551b',
    };
    const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
    const fixed = createAesGcm({ uniform: () => 0, bytes: () => hex(vector.nonce) });
    const sealed = fixed.seal(hex(vector.key), hex(vector.plaintext), hex(vector.additionalData));
    expect(Buffer.from(sealed).toString('hex')).toBe(vector.nonce + vector.ciphertext + vector.tag);
  });

  it('throws for a key of another length: that is a bug, not an answer', () => {
    const sealed = aead.seal(key, plaintext, additionalData);
    expect(() => aead.seal(key.subarray(1), plaintext, additionalData)).toThrow();
    expect(() => aead.open(key.subarray(1), sealed, additionalData)).toThrow();
  });
});
