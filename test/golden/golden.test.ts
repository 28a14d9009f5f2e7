import { createDecipheriv, createHash } from 'node:crypto';
import { createAesGcm, systemRandom } from '@token-broker/foundation';
import {
  decode,
  encode,
  getReplySchema,
  LIMITS,
  partitionOf,
  pushAdditionalData,
  slotOf,
  subjectHashOf,
  syncReplyOrFailureSchema,
} from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { goldenFiles, messages, PARTS, pushVector, schemas, slotVectors, subjectVectors } from './contract.js';

const files = goldenFiles();

describe('golden payloads', () => {
  it('exist for every message of the protocol', () => {
    expect(messages.size).toBeGreaterThan(15);
    const without = [...messages.keys()].filter((name) => !files.some(({ message }) => message === name));
    expect(without).toEqual([]);
  });

  it('belong to a message each', () => {
    expect(files.filter(({ message }) => !messages.has(message)).map(({ name }) => name)).toEqual([]);
    expect(PARTS.filter((name) => !schemas.has(name))).toEqual([]);
  });

  it.each(files)('$name decodes, to just what it says', ({ message, bytes, decoded }) => {
    const schema = messages.get(message);
    if (schema === undefined) throw new Error(`no message ${message}`);
    expect(decode(schema, bytes, LIMITS.replyBytes)).toEqual({ ok: true, value: decoded });
  });

  it.each(files)('$name is written again in a form that decodes to the same', ({ message, decoded }) => {
    const schema = messages.get(message);
    if (schema === undefined) throw new Error(`no message ${message}`);
    expect(decode(schema, encode(decoded), LIMITS.replyBytes)).toEqual({ ok: true, value: decoded });
  });

  it.each(files.filter(({ message }) => ['token-reply', 'failure-reply', 'sync-reply'].includes(message)))(
    '$name decodes where a token or a failure, or a sync or a failure, may come',
    ({ message, bytes, decoded }) => {
      const either = message === 'sync-reply' ? syncReplyOrFailureSchema : getReplySchema;
      expect(decode(either, bytes, LIMITS.replyBytes)).toEqual({ ok: true, value: decoded });
      if (message !== 'failure-reply') return;
      expect(decode(syncReplyOrFailureSchema, bytes, LIMITS.replyBytes)).toEqual({ ok: true, value: decoded });
    },
  );
});

describe('golden slots', () => {
  it.each(slotVectors())('$what', ({ source, parameters, canonical, slot, partitionOf16 }) => {
    expect(slotOf(source, parameters)).toBe(slot);
    expect(partitionOf(slot, 16)).toBe(partitionOf16);
    // The same by hand, as a client in another language does it.
    const digest = createHash('sha256').update(canonical, 'utf8').digest();
    expect(digest.subarray(0, 16).toString('base64url')).toBe(slot);
    expect(digest.readUInt32BE(0) % 16).toBe(partitionOf16);
  });
});

describe('golden subjects', () => {
  it.each(subjectVectors())('$what', ({ subjectToken, actorToken, subjectHash, source, slot }) => {
    expect(subjectHashOf(subjectToken, actorToken)).toBe(subjectHash);
    expect(slotOf(source, { subjectHash })).toBe(slot);
    // The same by hand, as a client in another language does it.
    const text = [subjectToken, ...(actorToken === undefined ? [] : [actorToken])].join('\n');
    expect(createHash('sha256').update(text, 'utf8').digest('base64url')).toBe(subjectHash);
  });

  it('are slots of their own each', () => {
    expect(new Set(subjectVectors().map(({ slot }) => slot)).size).toBe(subjectVectors().length);
  });

  it('keep the slot that a subject without an actor has had from the beginning', () => {
    const former = slotVectors().find(({ what }) => what === 'a subject');
    expect(subjectVectors()[0]?.slot).toBe(former?.slot);
  });
});

describe('the golden push', () => {
  const { key, nonce, binding, additionalData, plaintext, sealed } = pushVector();
  const secret = Buffer.from(key, 'base64url');
  const bytes = Buffer.from(sealed, 'base64url');

  it('opens', () => {
    const opened = createAesGcm(systemRandom).open(secret, bytes, pushAdditionalData(binding));
    expect(Buffer.from(opened ?? []).toString()).toBe(plaintext);
  });

  it('opens by hand: 12 bytes of nonce, the ciphertext, 16 bytes of tag', () => {
    expect(bytes.subarray(0, 12).toString('base64url')).toBe(nonce);
    const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(additionalData));
    decipher.setAuthTag(bytes.subarray(-16));
    const opened = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
    expect(opened.toString()).toBe(plaintext);
  });

  it('is the one of the golden event, whose channel is that of the golden reply', () => {
    const event = files.find(({ name }) => name === 'refreshed-event.push')?.decoded as { push: unknown };
    expect(event.push).toEqual({ channelVersion: binding.channelVersion, sealed });
    const reply = files.find(({ name }) => name === 'token-reply.with-channel')?.decoded as { channel: unknown };
    expect(reply.channel).toEqual({ version: binding.channelVersion, key });
  });

  it.each([
    { slot: 'wTr3vL0pQk9Zx2Yb7Nn8aA' },
    { epoch: binding.epoch + 1 },
    { generation: binding.generation + 1 },
    { channelVersion: binding.channelVersion + 1 },
  ])('does not open as that of another %o', (change) => {
    const other = pushAdditionalData({ ...binding, ...change });
    expect(createAesGcm(systemRandom).open(secret, bytes, other)).toBeUndefined();
  });
});
