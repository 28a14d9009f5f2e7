import { createAesGcm, Redacted } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Keyring, type KeyringKey } from './keyring.js';
import { RecordCodec } from './record-codec.js';
import type { SlotAddress } from '../ports/store.js';

const random = new SeededRandom(6);
const aead = createAesGcm(random);
const key = (id: string, fill: number): KeyringKey => ({ id, secret: new Redacted(new Uint8Array(32).fill(fill)) });
const [OLD, NEW] = [key('2026-10', 1), key('2026-11', 2)];
const BOUND = Buffer.from('bound');
const TEXT = Buffer.from('a token');

describe('a keyring', () => {
  it('opens what any of its keys has sealed, and seals under the first', () => {
    const before = new Keyring(aead, [OLD]);
    const between = new Keyring(aead, [NEW, OLD]);
    const after = new Keyring(aead, [NEW]);
    const [sealedBefore, sealedBetween] = [before.seal(TEXT, BOUND), between.seal(TEXT, BOUND)];
    expect(between.open(sealedBefore, BOUND)).toMatchObject({ ok: true, value: TEXT });
    expect(after.open(sealedBetween, BOUND)).toMatchObject({ ok: true, value: TEXT });
    expect([between.isCurrent(sealedBefore), between.isCurrent(sealedBetween)]).toEqual([false, true]);
    expect(after.open(sealedBefore, BOUND)).toEqual({ ok: false, error: 'unknown-key' });
  });

  it('follows its keys when they are replaced', () => {
    const keyring = new Keyring(aead, [OLD]);
    const sealed = keyring.seal(TEXT, BOUND);
    keyring.replace([NEW, OLD]);
    expect(keyring.open(sealed, BOUND).ok).toBe(true);
    expect(keyring.isCurrent(sealed)).toBe(false);
    expect(keyring.isCurrent(keyring.seal(TEXT, BOUND))).toBe(true);
  });

  it('takes a key of the same name with another secret for damage', () => {
    const sealed = new Keyring(aead, [OLD]).seal(TEXT, BOUND);
    expect(new Keyring(aead, [key('2026-10', 9)]).open(sealed, BOUND)).toEqual({ ok: false, error: 'corrupt' });
  });

  it('opens nothing of which a bit was flipped, that was cut, or that is bound to something else', () => {
    const keyring = new Keyring(aead, [OLD]);
    const sealed = keyring.seal(TEXT, BOUND);
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(sealed);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(keyring.open(flipped, BOUND).ok).toBe(false);
      }),
    );
    for (let length = 0; length < sealed.length; length++)
      expect(keyring.open(sealed.subarray(0, length), BOUND)).toEqual({ ok: false, error: 'corrupt' });
    expect(keyring.open(sealed, Buffer.from('elsewhere'))).toEqual({ ok: false, error: 'corrupt' });
  });

  it('says what is wrong with any bytes, and never throws', () => {
    const keyring = new Keyring(aead, [OLD]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const opened = keyring.open(bytes, BOUND);
        expect(opened.ok ? 'opened' : opened.error).toMatch(/^(corrupt|unknown-key|later-layout)$/);
        expect(keyring.isCurrent(bytes)).toBeTypeOf('boolean');
      }),
    );
  });

  it('tells a layout of a later version from damage and from a missing key', () => {
    const sealed = Buffer.from(new Keyring(aead, [OLD]).seal(TEXT, BOUND));
    sealed.writeUInt8(2, 0);
    expect(new Keyring(aead, [OLD]).open(sealed, BOUND)).toEqual({ ok: false, error: 'later-layout' });
  });
});

describe('a sealed record', () => {
  const address: SlotAddress = { slot: 's', partition: 0, source: 'a', provider: 'oauth2', recipe: 'r' };
  const content = {
    token: { accessToken: 't', tokenType: 'Bearer' },
    lifeMs: 1_000,
    expiresAtMs: 5_000,
    parameters: { scopes: ['x'] },
  };
  const codecOf = (namespace: string): RecordCodec => new RecordCodec(new Keyring(aead, [OLD]), random, namespace);
  const codec = codecOf('one');
  const sealed = codec.seal(address, 1, 2, content);
  const open = (of: SlotAddress, epoch: number, generation: number, with_ = codec, expiresAtMs = 5_000): unknown => {
    const asOf = { epoch, vseq: 0, redisMs: 0, sentAtMs: 0 };
    const opened = with_.open(of, { kind: 'hit', asOf, floor: 0, record: { generation, expiresAtMs, sealed } });
    return opened.ok ? opened.value : opened.error;
  };

  it('opens in its place', () => {
    expect(open(address, 1, 2)).toEqual(content);
  });

  it.each([
    ['slot', () => open({ ...address, slot: 'other' }, 1, 2)],
    ['recipe', () => open({ ...address, recipe: 'other' }, 1, 2)],
    ['epoch', () => open(address, 3, 2)],
    ['generation', () => open(address, 1, 3)],
    ['namespace', () => open(address, 1, 2, codecOf('two'))],
    ['expiry', () => open(address, 1, 2, codec, 5_001)],
  ])('does not open in another %s', (_, opened) => {
    expect(opened()).toBe('corrupt');
  });

  it('does not open as a channel key, nor a channel key as a record', () => {
    expect(codec.openChannel(address, 1, { version: 2, sealed })).toBeUndefined();
    const channel = codec.newChannel(address, 1, 2);
    expect(codec.openChannel(address, 1, { version: 2, sealed: channel })?.key).toHaveLength(43);
    expect(codec.openChannel(address, 1, { version: 3, sealed: channel })).toBeUndefined();
    const asOf = { epoch: 1, vseq: 0, redisMs: 0, sentAtMs: 0 };
    const record = { generation: 2, expiresAtMs: 0, sealed: channel };
    expect(codec.open(address, { kind: 'hit', asOf, floor: 0, record })).toEqual({ ok: false, error: 'corrupt' });
  });
});
