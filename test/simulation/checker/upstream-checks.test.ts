import { beforeEach, describe, expect, it } from 'vitest';
import type { Seen } from './observation.js';
import { committed, handedOut, History, LIFE_MS } from './fakes/history.js';

let history: History;

beforeEach(() => {
  history = new History();
});

describe('G6', () => {
  const intended = (permit: string, change: object = {}): Seen => ({
    kind: 'intended',
    permit,
    redisMs: history.nowMs,
    callMs: 3_000,
    family: 'f',
    sequence: 0,
    ...change,
  });
  const arrived = (permit: string): Seen => ({
    ...{ kind: 'arrived', call: 1, permit, refreshToken: 'r1', family: 'provider-family' },
  });
  const ended = (permit: string, heard: 'successor' | 'kept' | 'failure' | 'refresh-token-refused'): Seen => ({
    ...{ kind: 'call-ended', call: 1, permit, heard, retryAfterMs: 0 },
  });
  const told = (
    permit: string,
    outcome: 'succeeded' | 'released' | 'exhausted' | 'moved',
    change: object = {},
  ): Seen => ({
    ...{ kind: 'told', permit, outcome, family: 'f', sequence: 0 },
    ...change,
  });
  const permitted = (permit: string): Seen => ({
    ...{ kind: 'permitted', permit, upstream: 'u', redisMs: history.nowMs, callMs: 3_000, isRefetch: false },
  });

  function spent(permit: string, process = permit): void {
    history.see(process, intended(permit));
    history.see(process, permitted(permit));
    history.see(process, arrived(permit));
  }

  it('is broken by a second use while the first is in the air', () => {
    spent('b1');
    expect(history.checker.violation).toBeUndefined();
    spent('b2');
    expect(history.checker.violation?.guarantee).toBe('G6');
  });

  it('is broken by a second use after a successor that the journal has, also by one that it was not told of', () => {
    spent('b1');
    history.see('b1', ended('b1', 'successor'));
    const other = history.checker;
    history.see('b1', told('b1', 'succeeded'));
    spent('b2');
    expect(other.violation?.guarantee).toBe('G6');
    history = new History();
    spent('b1');
    history.see('b1', ended('b1', 'successor'));
    spent('b2', 'b2');
    expect(history.checker.violation?.guarantee).toBe('G6');
  });

  it.each([
    ['whose call failed', ended('b1', 'failure')],
    ['whose token stays good', ended('b1', 'kept')],
    ['that died', { kind: 'left', isGone: true } as const],
    ['whose note was lost', { kind: 'data-set-replaced', how: 'flush', lostDurable: [] } as const],
  ])('excuses a second use after one %s', (_why, seen) => {
    spent('b1');
    history.see('b1', seen);
    spent('b2');
    expect(history.checker.violation).toBeUndefined();
  });

  it('excuses a takeover only from an owner that was called for, and whose word did not get through', () => {
    const takeover = (calledFor: boolean, tells: boolean): string | undefined => {
      history = new History();
      history.nowMs = 0;
      spent('b1');
      history.see('b1', ended('b1', 'successor'));
      if (calledFor) history.see('b2', { kind: 'waited', owner: 'b1', redisMs: 4_000 }, 4_000);
      if (tells) history.see('b1', { kind: 'telling', permit: 'b1' }, 4_500);
      history.nowMs = 5_000;
      spent('b2');
      return history.checker.violation?.guarantee;
    };
    expect([takeover(true, true), takeover(false, true), takeover(true, false)]).toEqual([undefined, 'G6', 'G6']);
  });

  it('is broken by a family that ends for the refusal of another token, and by one that goes on', () => {
    spent('b1');
    history.see('b1', ended('b1', 'refresh-token-refused'));
    history.see('b1', told('b1', 'exhausted', { sequence: 1 }));
    expect(history.checker.violation?.guarantee).toBe('G6');
    history = new History();
    spent('b1');
    history.see('b1', ended('b1', 'refresh-token-refused'));
    history.see('b1', told('b1', 'exhausted'));
    expect(history.checker.violation).toBeUndefined();
    history.see('b2', intended('b2'));
    expect(history.checker.violation?.guarantee).toBe('G6');
  });

  it('is broken by a commit before the journal has the successor', () => {
    spent('a10');
    history.see('a10', ended('a10', 'successor'));
    history.see('a10', committed(10));
    expect(history.checker.violation?.guarantee).toBe('G6');
  });
});

describe('families', () => {
  it('are broken by a token that is handed out although the process that found its family over lives', () => {
    history.fetched(10, 't1');
    history.see('-', {
      ...{ kind: 'issued', call: 10, token: 't2', lifeMs: LIFE_MS, expiresAtMs: history.nowMs + LIFE_MS, family: 'p' },
    });
    history.see('b1', {
      kind: 'intended',
      permit: 'x',
      redisMs: history.nowMs,
      callMs: 3_000,
      family: 'f',
      sequence: 0,
    });
    history.see('b1', {
      kind: 'permitted',
      permit: 'x',
      upstream: 'u',
      redisMs: history.nowMs,
      callMs: 3_000,
      isRefetch: false,
    });
    history.see('b1', { kind: 'arrived', call: 11, permit: 'x', refreshToken: 'r1', family: 'p' });
    history.see('b1', { kind: 'told', permit: 'x', outcome: 'exhausted', family: 'f', sequence: 0 });
    history.see('c1', handedOut(10, 't2'), history.nowMs + 3_000);
    expect(history.checker.violation).toBeUndefined();
    history.see('c1', handedOut(10, 't2'), history.nowMs + 2_000);
    expect(history.checker.violation?.guarantee).toBe('families');
  });
});

describe('a quota', () => {
  const WINDOW_MS = 10_000;
  const call = (permit: string, atMs: number, change: object = {}): void => {
    history.see(
      'b1',
      { kind: 'permitted', permit, upstream: 'u', redisMs: atMs, callMs: 2_000, isRefetch: false, ...change },
      atMs,
    );
  };
  const arrives = (permit: string, atMs: number): void => {
    history.see('b1', { kind: 'arrived', call: 1, permit, refreshToken: undefined, family: undefined }, atMs);
    history.see('b1', { kind: 'settled', permit, redisMs: atMs + 1, wasMade: true }, atMs + 1);
  };

  beforeEach(() => {
    history = new History({ quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
  });

  it('is broken by one arrival too many in a window, wherever that begins', () => {
    for (const [permit, atMs] of [
      ['1', 0],
      ['2', 5_000],
      ['3', 9_000],
    ] as const) {
      call(permit, atMs, { isRefetch: true });
      arrives(permit, atMs);
    }
    call('4', 9_500, { isRefetch: true });
    const early = history.checker;
    arrives('4', 9_900);
    expect(early.violation?.guarantee).toBe('quota');
  });

  it('is broken by a call that nobody permitted, by one that is late, and by a refusal while there is room', () => {
    arrives('1', 1);
    expect(history.checker.violation?.guarantee).toBe('quota');
    history = new History({ quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    call('1', 0);
    arrives('1', 2_100);
    expect(history.checker.violation?.guarantee).toBe('quota');
    history = new History({ quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    call('1', 0);
    history.see('b1', { kind: 'over-quota', permit: '2', upstream: 'u', redisMs: 1, callMs: 2_000, common: 2 }, 1);
    expect(history.checker.violation?.guarantee).toBe('quota');
  });

  it('leaves the reserve to what is fetched again, and room to those who wait', () => {
    call('1', 0);
    call('2', 1);
    call('3', 2, { isRefetch: true });
    history.see('b1', { kind: 'attributed', permit: '1', isRenewal: true });
    expect(history.checker.violation).toBeUndefined();
    history.see('b1', { kind: 'attributed', permit: '2', isRenewal: true });
    expect(history.checker.violation?.guarantee).toBe('classes');
    history = new History({ quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    for (const permit of ['1', '2', '3']) call(permit, 0);
    expect(history.checker.violation?.guarantee).toBe('classes');
  });

  it('has pauses that bind whoever is permitted after Redis knows of them', () => {
    call('1', 0);
    call('2', 1);
    history.see('b1', { kind: 'call-ended', call: 1, permit: '1', heard: 'throttled', retryAfterMs: 1_000 }, 10);
    call('just before', 11, { isRefetch: true });
    history.see('b1', { kind: 'settled', permit: '1', redisMs: 11, wasMade: true }, 11);
    arrives('2', 500);
    arrives('just before', 501);
    expect(history.checker.violation).toBeUndefined();
    call('3', 900, { isRefetch: true });
    arrives('3', 950);
    expect(history.checker.violation?.guarantee).toBe('pause');
  });
});
