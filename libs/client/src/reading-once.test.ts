import { err, ok, type Result } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { ReadingOnce } from './reading-once.js';

/** Several near caches read. */
function sharedBy<T>(readers: number, decode: (data: Uint8Array) => Result<T, string>): ReadingOnce<T> {
  const reading = new ReadingOnce(decode);
  for (let reader = 0; reader < readers; reader++) reading.join();
  return reading;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the reading of what many near caches of a process hear', () => {
  it('decodes a message once, and gives each of them the same', () => {
    const decoded: string[] = [];
    const reading = sharedBy(2, (data) => {
      const text = new TextDecoder().decode(data);
      decoded.push(text);
      return ok({ text });
    });
    const first = reading.read(bytes('one'));
    expect(reading.read(bytes('one'))).toBe(first);
    expect(decoded).toEqual(['one']);
    // As long as the one before, and nearly the same.
    expect(reading.read(bytes('onf'))).toEqual(ok({ text: 'onf' }));
    expect(reading.read(bytes('on'))).toEqual(ok({ text: 'on' }));
    expect(reading.read(bytes('one'))).toBe(first);
    expect(decoded).toEqual(['one', 'onf', 'on']);
  });

  it('remembers a few messages', () => {
    let decoded = 0;
    const reading = sharedBy(2, () => ok(++decoded));
    for (const text of ['1', '2', '3', '4', '1', '2', '3', '4']) reading.read(bytes(text));
    expect(decoded).toBe(4);
    for (let index = 0; index < 1_000; index++) reading.read(bytes(`m${String(index)}`));
    expect(reading.read(bytes('1'))).toEqual(ok(1_005));
  });

  it('says of what cannot be read the same to each of them', () => {
    const reading = sharedBy<string>(2, () => err('not JSON'));
    expect([reading.read(bytes('{')), reading.read(bytes('{'))]).toEqual([err('not JSON'), err('not JSON')]);
  });

  it('remembers nothing for one reader alone, and forgets all when the last has left', () => {
    let decoded = 0;
    const reading = new ReadingOnce(() => ok(++decoded));
    const leave = reading.join();
    for (let again = 0; again < 3; again++) reading.read(bytes('1'));
    expect(decoded).toBe(3);
    const leaveToo = reading.join();
    for (let again = 0; again < 3; again++) reading.read(bytes('1'));
    expect(decoded).toBe(4);
    leave();
    leave();
    expect(reading.read(bytes('1'))).toEqual(ok(5));
    leaveToo();
    reading.join();
    reading.join();
    for (let again = 0; again < 3; again++) expect(reading.read(bytes('1'))).toEqual(ok(6));
    expect(reading.read(bytes('2'))).toEqual(ok(7));
  });
});
