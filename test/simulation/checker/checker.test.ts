import { beforeEach, describe, expect, it } from 'vitest';
import { Checker } from './checker.js';
import type { Seen } from './observation.js';

const BOUNDS = {
  minLifetimeMs: 2_000,
  maxStalenessMs: 10_000,
  detectionMs: 2_500,
  drift: 0,
  idpCaches: false,
  graceMs: 0,
  quota: undefined,
};
const LIFE_MS = 60_000;

let checker: Checker;
let nowMs: number;

beforeEach(() => {
  checker = new Checker(BOUNDS);
  nowMs = 0;
});

function see(process: string, seen: Seen, atMs = (nowMs += 1)): void {
  nowMs = atMs;
  checker.observe({ atMs, process, ...seen });
}

const reserved = (generation: number, change: object = {}): Seen => ({
  kind: 'reserved',
  slot: 's',
  recipe: 'r',
  epoch: 1,
  generation,
  floor: 0,
  redisMs: nowMs,
  callMs: 3_000,
  live: undefined,
  hasJumped: false,
  ...change,
});

/** A claim, its call, and the token that came of it. */
function fetched(generation: number, token: string, change: object = {}): void {
  see('b1', reserved(generation, change));
  see('b1', { kind: 'called', slot: 's', recipe: 'r', epoch: 1, generation, call: generation });
  see('-', {
    kind: 'issued',
    call: generation,
    token,
    lifeMs: LIFE_MS,
    expiresAtMs: nowMs + LIFE_MS,
    family: undefined,
  });
  see('b1', { kind: 'call-ended', call: generation, permit: undefined, heard: 'token', retryAfterMs: 0 });
}

const committed = (generation: number, change: object = {}): Seen => ({
  kind: 'committed',
  slot: 's',
  epoch: 1,
  generation,
  epochOfClaim: 1,
  attempt: `a${String(generation)}`,
  floor: 0,
  before: 0,
  ...change,
});

const answered = (generation: number, token: string, change: object = {}): Seen => ({
  kind: 'answered',
  slot: 's',
  epoch: 1,
  generation,
  token,
  verified: true,
  expiresInMs: 1_000,
  ...change,
});

const handedOut = (generation: number, token: string, change: object = {}): Seen => ({
  kind: 'handed-out',
  slot: 's',
  epoch: 1,
  generation,
  token,
  verified: true,
  expiresInMs: 1_000,
  clocksJumped: false,
  healthySinceMs: 0,
  ...change,
});

/** A revocation with this floor, executed and reported. */
function revoked(floor: number, change: object = {}): void {
  see('b1', { kind: 'floor-raised', id: 'r1', partition: 0, epoch: 1, floor, slots: ['s'] });
  see('b1', {
    kind: 'revocation-returned',
    id: 'r1',
    complete: true,
    durable: false,
    broadcast: true,
    covers: [{ slot: 's', partition: 0 }],
    partitions: [0],
    standing: [{ partition: 0, epoch: 1, floor, replacedSince: false }],
    wasTaken: true,
    ...change,
  });
}

it('finds nothing in a history where all is well', () => {
  fetched(10, 't1');
  see('b1', committed(10));
  see('b2', answered(10, 't1'));
  see('c1', handedOut(10, 't1'));
  revoked(15);
  fetched(20, 't2', { floor: 15 });
  see('b1', committed(20, { floor: 15, before: 10 }));
  see('b1', answered(20, 't2'));
  see('c1', handedOut(20, 't2'));
  expect(checker.violation).toBeUndefined();
  expect(checker.exercised).toMatchObject({ G1: 4, G3: 4, G7: 2 });
});

describe('G1', () => {
  it('is broken by a second claim while a call is in the air', () => {
    see('b1', reserved(10));
    see('b2', reserved(11));
    expect(checker.violation).toMatchObject({ guarantee: 'G1', atMs: 2 });
  });

  it.each([
    ['its reservation has run out', { redisMs: 3_001 }],
    ['it was revoked', { floor: 10 }],
    ['its epoch is past', { epoch: 2 }],
    ['its recipe is another', { recipe: 'other' }],
  ])('allows a second claim when of the first %s', (_why, change) => {
    see('b1', reserved(10));
    see('b2', reserved(11, change));
    expect(checker.violation).toBeUndefined();
  });

  it('is broken by a call while a fresh token counts', () => {
    see('b1', reserved(11, { live: { generation: 10, leftOfLife: 0.9 } }));
    expect(checker.violation?.guarantee).toBe('G1');
  });

  it('is broken by two results of one generation, not by one that is written twice', () => {
    see('b1', committed(10));
    see('b1', committed(10));
    expect(checker.violation).toBeUndefined();
    see('b2', committed(10, { attempt: 'other' }));
    expect(checker.violation?.guarantee).toBe('G1');
  });
});

describe('G2', () => {
  it('is broken by a commit at the floor, and by one from another epoch', () => {
    see('b1', committed(10, { floor: 10 }));
    expect(checker.violation?.guarantee).toBe('G2');
    const other = new Checker(BOUNDS);
    other.observe({ atMs: 1, process: 'b1', ...committed(10, { epochOfClaim: 0 }) });
    expect(other.violation?.guarantee).toBe('G2');
  });

  it('is broken by an answer with a token whose revocation has returned', () => {
    fetched(10, 't1');
    revoked(15);
    see('b2', answered(10, 't1'));
    expect(checker.violation?.guarantee).toBe('G2');
  });

  it('knows a token by its claim, whatever generation it is given under', () => {
    fetched(10, 't1');
    revoked(15);
    see('b2', answered(99, 't1'));
    expect(checker.violation?.guarantee).toBe('G2');
  });

  it('lets an incomplete revocation, and an answer that is flagged, promise nothing', () => {
    fetched(10, 't1');
    revoked(15, { complete: false });
    see('b2', answered(10, 't1'));
    revoked(16);
    see('b2', answered(10, 't1', { verified: false }));
    expect(checker.violation).toBeUndefined();
  });

  it('lets a near cache that was cut off serve until the staleness bound, and not longer', () => {
    fetched(10, 't1');
    revoked(15);
    const cutOff = (atMs: number): Seen => handedOut(10, 't1', { healthySinceMs: atMs });
    see('c1', cutOff(9_000), 9_000);
    expect(checker.violation).toBeUndefined();
    see('c1', cutOff(10_020), 10_020);
    expect(checker.violation?.guarantee).toBe('G2');
  });

  it('gives a near cache with which nothing is wrong the detection bound only', () => {
    fetched(10, 't1');
    revoked(15);
    see('c1', handedOut(10, 't1'), 2_400);
    expect(checker.violation).toBeUndefined();
    see('c1', handedOut(10, 't1'), 2_600);
    expect(checker.violation?.guarantee).toBe('G2');
  });

  it('is broken by an answer with a token that was taken back at its provider', () => {
    fetched(10, 't1');
    see('b1', { kind: 'taken-back', token: 't1' });
    see('b1', answered(10, 't1'));
    expect(checker.violation?.guarantee).toBe('G2');
  });
});

describe('G3', () => {
  it('is broken by a client that steps back, also to an older epoch, and not by another client', () => {
    fetched(10, 't1');
    fetched(20, 't2');
    see('c1', handedOut(20, 't2'));
    see('c2', handedOut(10, 't1'));
    expect(checker.violation).toBeUndefined();
    see('c1', handedOut(10, 't1'));
    expect(checker.violation?.guarantee).toBe('G3');
  });

  it('is broken by a commit below what was committed', () => {
    see('b1', committed(10, { before: 20 }));
    expect(checker.violation?.guarantee).toBe('G3');
  });
});

describe('G4', () => {
  it('is broken by a token with less than the minimum lifetime, and by a life that is overstated', () => {
    fetched(10, 't1');
    see('c1', handedOut(10, 't1'), LIFE_MS - 2_100);
    expect(checker.violation).toBeUndefined();
    see('c1', handedOut(10, 't1'), LIFE_MS - 1_900);
    expect(checker.violation?.guarantee).toBe('G4');
    const other = new Checker(BOUNDS);
    checker = other;
    fetched(10, 't1');
    see('b1', answered(10, 't1', { expiresInMs: LIFE_MS + 100 }));
    expect(other.violation?.guarantee).toBe('G4');
  });
});

describe('G6', () => {
  const intended = (permit: string, change: object = {}): Seen => ({
    kind: 'intended',
    permit,
    redisMs: nowMs,
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
    ...{ kind: 'permitted', permit, upstream: 'u', redisMs: nowMs, callMs: 3_000, isRefetch: false },
  });

  function spent(permit: string, process = permit): void {
    see(process, intended(permit));
    see(process, permitted(permit));
    see(process, arrived(permit));
  }

  it('is broken by a second use while the first is in the air', () => {
    spent('b1');
    expect(checker.violation).toBeUndefined();
    spent('b2');
    expect(checker.violation?.guarantee).toBe('G6');
  });

  it('is broken by a second use after a successor that the journal has, also by one that it was not told of', () => {
    spent('b1');
    see('b1', ended('b1', 'successor'));
    const other = checker;
    see('b1', told('b1', 'succeeded'));
    spent('b2');
    expect(other.violation?.guarantee).toBe('G6');
    checker = new Checker(BOUNDS);
    spent('b1');
    see('b1', ended('b1', 'successor'));
    spent('b2', 'b2');
    expect(checker.violation?.guarantee).toBe('G6');
  });

  it.each([
    ['whose call failed', ended('b1', 'failure')],
    ['whose token stays good', ended('b1', 'kept')],
    ['that died', { kind: 'left', isGone: true } as const],
    ['whose note was lost', { kind: 'data-set-replaced', how: 'flush', lostDurable: [] } as const],
  ])('excuses a second use after one %s', (_why, seen) => {
    spent('b1');
    see('b1', seen);
    spent('b2');
    expect(checker.violation).toBeUndefined();
  });

  it('excuses a takeover only from an owner that was called for, and whose word did not get through', () => {
    const takeover = (calledFor: boolean, tells: boolean): string | undefined => {
      checker = new Checker(BOUNDS);
      nowMs = 0;
      spent('b1');
      see('b1', ended('b1', 'successor'));
      if (calledFor) see('b2', { kind: 'waited', owner: 'b1', redisMs: 4_000 }, 4_000);
      if (tells) see('b1', { kind: 'telling', permit: 'b1' }, 4_500);
      nowMs = 5_000;
      spent('b2');
      return checker.violation?.guarantee;
    };
    expect([takeover(true, true), takeover(false, true), takeover(true, false)]).toEqual([undefined, 'G6', 'G6']);
  });

  it('is broken by a family that ends for the refusal of another token, and by one that goes on', () => {
    spent('b1');
    see('b1', ended('b1', 'refresh-token-refused'));
    see('b1', told('b1', 'exhausted', { sequence: 1 }));
    expect(checker.violation?.guarantee).toBe('G6');
    checker = new Checker(BOUNDS);
    spent('b1');
    see('b1', ended('b1', 'refresh-token-refused'));
    see('b1', told('b1', 'exhausted'));
    expect(checker.violation).toBeUndefined();
    see('b2', intended('b2'));
    expect(checker.violation?.guarantee).toBe('G6');
  });

  it('is broken by a commit before the journal has the successor', () => {
    spent('a10');
    see('a10', ended('a10', 'successor'));
    see('a10', committed(10));
    expect(checker.violation?.guarantee).toBe('G6');
  });
});

describe('families', () => {
  it('are broken by a token that is handed out although the process that found its family over lives', () => {
    fetched(10, 't1');
    see('-', {
      ...{ kind: 'issued', call: 10, token: 't2', lifeMs: LIFE_MS, expiresAtMs: nowMs + LIFE_MS, family: 'p' },
    });
    see('b1', { kind: 'intended', permit: 'x', redisMs: nowMs, callMs: 3_000, family: 'f', sequence: 0 });
    see('b1', { kind: 'permitted', permit: 'x', upstream: 'u', redisMs: nowMs, callMs: 3_000, isRefetch: false });
    see('b1', { kind: 'arrived', call: 11, permit: 'x', refreshToken: 'r1', family: 'p' });
    see('b1', { kind: 'told', permit: 'x', outcome: 'exhausted', family: 'f', sequence: 0 });
    see('c1', handedOut(10, 't2'), nowMs + 3_000);
    expect(checker.violation).toBeUndefined();
    see('c1', handedOut(10, 't2'), nowMs + 2_000);
    expect(checker.violation?.guarantee).toBe('families');
  });
});

describe('a quota', () => {
  const WINDOW_MS = 10_000;
  const call = (permit: string, atMs: number, change: object = {}): void => {
    see(
      'b1',
      { kind: 'permitted', permit, upstream: 'u', redisMs: atMs, callMs: 2_000, isRefetch: false, ...change },
      atMs,
    );
  };
  const arrives = (permit: string, atMs: number): void => {
    see('b1', { kind: 'arrived', call: 1, permit, refreshToken: undefined, family: undefined }, atMs);
    see('b1', { kind: 'settled', permit, redisMs: atMs + 1, wasMade: true }, atMs + 1);
  };

  beforeEach(() => {
    checker = new Checker({ ...BOUNDS, quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
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
    const early = checker;
    arrives('4', 9_900);
    expect(early.violation?.guarantee).toBe('quota');
  });

  it('is broken by a call that nobody permitted, by one that is late, and by a refusal while there is room', () => {
    arrives('1', 1);
    expect(checker.violation?.guarantee).toBe('quota');
    checker = new Checker({ ...BOUNDS, quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    call('1', 0);
    arrives('1', 2_100);
    expect(checker.violation?.guarantee).toBe('quota');
    checker = new Checker({ ...BOUNDS, quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    call('1', 0);
    see('b1', { kind: 'over-quota', permit: '2', upstream: 'u', redisMs: 1, callMs: 2_000, common: 2 }, 1);
    expect(checker.violation?.guarantee).toBe('quota');
  });

  it('leaves the reserve to what is fetched again, and room to those who wait', () => {
    call('1', 0);
    call('2', 1);
    call('3', 2, { isRefetch: true });
    see('b1', { kind: 'attributed', permit: '1', isRenewal: true });
    expect(checker.violation).toBeUndefined();
    see('b1', { kind: 'attributed', permit: '2', isRenewal: true });
    expect(checker.violation?.guarantee).toBe('classes');
    checker = new Checker({ ...BOUNDS, quota: { limit: 3, windowMs: WINDOW_MS, reserve: 1 } });
    for (const permit of ['1', '2', '3']) call(permit, 0);
    expect(checker.violation?.guarantee).toBe('classes');
  });

  it('has pauses that bind whoever is permitted after Redis knows of them', () => {
    call('1', 0);
    call('2', 1);
    see('b1', { kind: 'call-ended', call: 1, permit: '1', heard: 'throttled', retryAfterMs: 1_000 }, 10);
    call('just before', 11, { isRefetch: true });
    see('b1', { kind: 'settled', permit: '1', redisMs: 11, wasMade: true }, 11);
    arrives('2', 500);
    arrives('just before', 501);
    expect(checker.violation).toBeUndefined();
    call('3', 900, { isRefetch: true });
    arrives('3', 950);
    expect(checker.violation?.guarantee).toBe('pause');
  });
});

describe('G7', () => {
  it.each([
    ['complete without Redis', { standing: [{ partition: 0, epoch: 1, floor: 14, replacedSince: false }] }],
    ['complete without one of its partitions', { partitions: [0, 1] }],
    ['broadcast without NATS', { wasTaken: false }],
  ])('is broken by a revocation that is reported as %s', (_what, change) => {
    revoked(15, change);
    expect(checker.violation?.guarantee).toBe('G7');
  });

  it('is broken by one that a failover lost before it was confirmed, and kept where that came after', () => {
    revoked(15, { standing: [{ partition: 0, epoch: 2, floor: 0, replacedSince: true }] });
    expect(checker.violation).toBeUndefined();
    revoked(15, { standing: [{ partition: 0, epoch: 2, floor: 0, replacedSince: false }] });
    expect(checker.violation?.guarantee).toBe('G7');
  });

  it('is broken by a durable revocation that a failover has lost', () => {
    see('-', { kind: 'data-set-replaced', how: 'failover', lostDurable: ['r1'] });
    expect(checker.violation?.guarantee).toBe('G7');
  });
});
