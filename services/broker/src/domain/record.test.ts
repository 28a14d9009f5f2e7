import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord, type RecordContent } from './record.js';

const BASE: RecordContent = {
  token: { accessToken: 'token', tokenType: 'Bearer' },
  lifeMs: 60_000,
  expiresAtMs: 1_700_000_000_000,
  parameters: { scopes: ['read'] },
};

describe('a record', () => {
  it.each<[string, RecordContent]>([
    ['with no more than it must hold', BASE],
    ['with the names of its subjects', { ...BASE, subjects: ['alice'] }],
    ['with what takes its token back upstream', { ...BASE, revocationHandle: 'lease' }],
  ])('is read as it was written, %s', (_, content) => {
    expect(decodeRecord(encodeRecord(content))).toEqual(content);
  });

  it('of an earlier version is read without what that one did not know', () => {
    const { token, lifeMs, expiresAtMs } = BASE;
    const written = Buffer.from(JSON.stringify({ token, lifeMs, expiresAtMs }));
    expect(decodeRecord(written)).toEqual({ token, lifeMs, expiresAtMs, parameters: {} });
  });

  it('of a later version is read without what this one does not know', () => {
    const written = Buffer.from(JSON.stringify({ ...BASE, later: true }));
    expect(decodeRecord(written)).toEqual(BASE);
  });

  it.each([
    ['no token', { ...BASE, token: {} }],
    ['no life', { ...BASE, lifeMs: undefined }],
    ['no end', { ...BASE, expiresAtMs: '1' }],
  ])('is none with %s', (_, written) => {
    expect(decodeRecord(Buffer.from(JSON.stringify(written)))).toBeUndefined();
  });
});
