import { err, ok } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { SharedReading } from './shared-reading.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the reading of what many near caches of a process hear', () => {
  it('decodes a message once, and gives each of them the same', () => {
    const decoded: string[] = [];
    const reading = new SharedReading((data) => {
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
    const reading = new SharedReading(() => ok(++decoded));
    for (const text of ['1', '2', '3', '4', '1', '2', '3', '4']) reading.read(bytes(text));
    expect(decoded).toBe(4);
    for (let index = 0; index < 1_000; index++) reading.read(bytes(`m${String(index)}`));
    expect(reading.read(bytes('1'))).toEqual(ok(1_005));
  });

  it('says of what cannot be read the same to each of them', () => {
    const reading = new SharedReading<string>(() => err('not JSON'));
    expect([reading.read(bytes('{')), reading.read(bytes('{'))]).toEqual([err('not JSON'), err('not JSON')]);
  });
});
