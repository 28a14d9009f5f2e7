import { describe, expect, it } from 'vitest';
import { decode, encode } from './decoding.js';
import { ERRORS, failure, isErrorCode, TokenBrokerError, type ErrorCode } from './errors.js';
import { failureReplySchema } from './messages/get.js';

const entries = Object.entries(ERRORS);

describe('the table of errors', () => {
  it('is closed: a code that is added or taken away changes the contract', () => {
    expect(Object.keys(ERRORS)).toEqual([
      'BAD_REQUEST',
      'UNKNOWN_SOURCE',
      'FORBIDDEN',
      'IDP_DENIED',
      'IDP_UNAVAILABLE',
      'IDP_TIMEOUT',
      'IDP_PROTOCOL',
      'QUOTA_EXHAUSTED',
      'REAUTH_REQUIRED',
      'PAUSED',
      'STORE_UNAVAILABLE',
      'REVOKED',
      'STALE',
      'DEADLINE',
      'BROKER_UNAVAILABLE',
      'CLOSED',
      'INTERNAL',
    ]);
  });

  it.each(entries)('says of %s what to do, in a sentence', (code, { remedy, httpStatus }) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(remedy).toMatch(/^[A-Z].{15,}\.$/s);
    expect(Number.isInteger(httpStatus) && httpStatus >= 400 && httpStatus < 600).toBe(true);
  });

  it('calls nothing retryable that only somebody else can repair', () => {
    const notRetryable = entries.filter(([, { retryable }]) => !retryable).map(([code]) => code);
    expect(notRetryable).toEqual([
      'BAD_REQUEST',
      'UNKNOWN_SOURCE',
      'FORBIDDEN',
      'IDP_DENIED',
      'IDP_PROTOCOL',
      'REAUTH_REQUIRED',
      'PAUSED',
      'CLOSED',
    ]);
  });

  it('does not take the properties of every object for codes', () => {
    expect(isErrorCode('FORBIDDEN')).toBe(true);
    for (const text of ['constructor', 'toString', '__proto__', 'forbidden', '']) expect(isErrorCode(text)).toBe(false);
  });
});

describe('a failure on the wire', () => {
  it.each(Object.keys(ERRORS))('reads as it was written: %s', (code) => {
    const error = failure(code as ErrorCode, 'what happened', 250);
    expect(decode(failureReplySchema, encode({ v: 1, error }), 1_000)).toEqual({ ok: true, value: { v: 1, error } });
  });

  it.each(['TEAPOT', 'constructor', ''])('reads as INTERNAL where the code is not known: %j', (code) => {
    const read = decode(failureReplySchema, encode({ v: 1, error: { code, message: 'from the future' } }), 1_000);
    expect(read).toEqual({ ok: true, value: { v: 1, error: { code: 'INTERNAL', message: 'from the future' } } });
  });

  it('has no time to try again where there is none', () => {
    expect(failure('INTERNAL', 'x')).toEqual({ code: 'INTERNAL', message: 'x' });
    expect(failure('INTERNAL', 'x', 0)).toEqual({ code: 'INTERNAL', message: 'x', retryAfterMs: 0 });
  });
});

describe('TokenBrokerError', () => {
  it('carries what the table says of its code', () => {
    const error = new TokenBrokerError(failure('QUOTA_EXHAUSTED', 'the quota of "payments" is used up', 1_500));
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toBe('TokenBrokerError: the quota of "payments" is used up');
    expect(error).toMatchObject({
      message: 'the quota of "payments" is used up',
      code: 'QUOTA_EXHAUSTED',
      retryable: true,
      retryAfterMs: 1_500,
      remedy: ERRORS.QUOTA_EXHAUSTED.remedy,
    });
  });
});
