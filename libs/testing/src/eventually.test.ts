import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';

describe('eventually', () => {
  it('returns the first truthy value, after failures and falsy ones', async () => {
    let looks = 0;
    const value = await eventually(
      () => {
        looks += 1;
        if (looks === 1) throw new Error('not there');
        return looks === 3 ? 'there' : undefined;
      },
      { what: 'the third look', everyMs: 1 },
    );
    expect(value).toBe('there');
    expect(looks).toBe(3);
  });

  it('says what it waited for, and how the last look failed', async () => {
    const probe = (): never => {
      throw new Error('connection refused');
    };
    await expect(eventually(probe, { what: 'the server', withinMs: 20, everyMs: 5 })).rejects.toThrow(
      'waited 20 ms in vain for the server: connection refused',
    );
    await expect(eventually(() => 0, { what: 'a count', withinMs: 0 })).rejects.toThrow('the probe returned 0');
  });
});
