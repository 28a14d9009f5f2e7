import { describe, expect, it } from 'vitest';
import { err, ok, unreachable } from './result.js';

describe('Result', () => {
  it('is told apart by its flag', () => {
    expect(ok(5)).toEqual({ ok: true, value: 5 });
    expect(err('no')).toEqual({ ok: false, error: 'no' });
  });
});

describe('unreachable', () => {
  it('throws with the value that was thought impossible', () => {
    expect(() => unreachable('surprise' as never)).toThrow('unreachable: "surprise"');
  });
});
