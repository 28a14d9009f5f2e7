import { beforeEach, describe, expect, it } from 'vitest';
import type { Seen } from './observation.js';
import { answered, committed, handedOut, History, LIFE_MS } from './fakes/history.js';

let history: History;

beforeEach(() => {
  history = new History();
});

it('finds nothing in a history where all is well', () => {
  history.fetched(10, 't1');
  history.see('b1', committed(10));
  history.see('b2', answered(10, 't1'));
  history.see('c1', handedOut(10, 't1'));
  history.revoked(15);
  history.fetched(20, 't2', { floor: 15 });
  history.see('b1', committed(20, { floor: 15, before: 10 }));
  history.see('b1', answered(20, 't2'));
  history.see('c1', handedOut(20, 't2'));
  expect(history.checker.violation).toBeUndefined();
  expect(history.checker.exercised).toMatchObject({ G1: 4, G3: 4, G7: 2 });
});

describe('G1', () => {
  it('is broken by a second claim while a call is in the air', () => {
    history.see('b1', history.reserved(10));
    history.see('b2', history.reserved(11));
    expect(history.checker.violation).toMatchObject({ guarantee: 'G1', atMs: 2 });
  });

  it.each([
    ['its reservation has run out', { redisMs: 3_001 }],
    ['it was revoked', { floor: 10 }],
    ['its epoch is past', { epoch: 2 }],
    ['its recipe is another', { recipe: 'other' }],
  ])('allows a second claim when of the first %s', (_why, change) => {
    history.see('b1', history.reserved(10));
    history.see('b2', history.reserved(11, change));
    expect(history.checker.violation).toBeUndefined();
  });

  it('is broken by a call while a fresh token counts', () => {
    history.see('b1', history.reserved(11, { live: { generation: 10, leftOfLife: 0.9 } }));
    expect(history.checker.violation?.guarantee).toBe('G1');
  });

  it('is broken by two results of one generation, not by one that is written twice', () => {
    history.see('b1', committed(10));
    history.see('b1', committed(10));
    expect(history.checker.violation).toBeUndefined();
    history.see('b2', committed(10, { attempt: 'other' }));
    expect(history.checker.violation?.guarantee).toBe('G1');
  });
});

describe('G2', () => {
  it('is broken by a commit at the floor, and by one from another epoch', () => {
    history.see('b1', committed(10, { floor: 10 }));
    expect(history.checker.violation?.guarantee).toBe('G2');
    const other = new History();
    other.checker.observe({ atMs: 1, process: 'b1', ...committed(10, { epochOfClaim: 0 }) });
    expect(other.checker.violation?.guarantee).toBe('G2');
  });

  it('is broken by an answer with a token whose revocation has returned', () => {
    history.fetched(10, 't1');
    history.revoked(15);
    history.see('b2', answered(10, 't1'));
    expect(history.checker.violation?.guarantee).toBe('G2');
  });

  it('knows a token by its claim, whatever generation it is given under', () => {
    history.fetched(10, 't1');
    history.revoked(15);
    history.see('b2', answered(99, 't1'));
    expect(history.checker.violation?.guarantee).toBe('G2');
  });

  it('lets an incomplete revocation, and an answer that is flagged, promise nothing', () => {
    history.fetched(10, 't1');
    history.revoked(15, { complete: false });
    history.see('b2', answered(10, 't1'));
    history.revoked(16);
    history.see('b2', answered(10, 't1', { verified: false }));
    expect(history.checker.violation).toBeUndefined();
  });

  it('lets a near cache that was cut off serve until the staleness bound, and not longer', () => {
    history.fetched(10, 't1');
    history.revoked(15);
    const cutOff = (atMs: number): Seen => handedOut(10, 't1', { healthySinceMs: atMs });
    history.see('c1', cutOff(9_000), 9_000);
    expect(history.checker.violation).toBeUndefined();
    history.see('c1', cutOff(10_020), 10_020);
    expect(history.checker.violation?.guarantee).toBe('G2');
  });

  it('gives a near cache with which nothing is wrong the detection bound only', () => {
    history.fetched(10, 't1');
    history.revoked(15);
    history.see('c1', handedOut(10, 't1'), 2_400);
    expect(history.checker.violation).toBeUndefined();
    history.see('c1', handedOut(10, 't1'), 2_600);
    expect(history.checker.violation?.guarantee).toBe('G2');
  });

  it('is broken by an answer with a token that was taken back at its provider', () => {
    history.fetched(10, 't1');
    history.see('b1', { kind: 'taken-back', token: 't1' });
    history.see('b1', answered(10, 't1'));
    expect(history.checker.violation?.guarantee).toBe('G2');
  });
});

describe('G3', () => {
  it('is broken by a client that steps back, also to an older epoch, and not by another client', () => {
    history.fetched(10, 't1');
    history.fetched(20, 't2');
    history.see('c1', handedOut(20, 't2'));
    history.see('c2', handedOut(10, 't1'));
    expect(history.checker.violation).toBeUndefined();
    history.see('c1', handedOut(10, 't1'));
    expect(history.checker.violation?.guarantee).toBe('G3');
  });

  it('is broken by a commit below what was committed', () => {
    history.see('b1', committed(10, { before: 20 }));
    expect(history.checker.violation?.guarantee).toBe('G3');
  });
});

describe('G4', () => {
  it('is broken by a token with less than the minimum lifetime, and by a life that is overstated', () => {
    history.fetched(10, 't1');
    history.see('c1', handedOut(10, 't1'), LIFE_MS - 2_100);
    expect(history.checker.violation).toBeUndefined();
    history.see('c1', handedOut(10, 't1'), LIFE_MS - 1_900);
    expect(history.checker.violation?.guarantee).toBe('G4');
    history = new History();
    history.fetched(10, 't1');
    history.see('b1', answered(10, 't1', { expiresInMs: LIFE_MS + 100 }));
    expect(history.checker.violation?.guarantee).toBe('G4');
  });
});

describe('G7', () => {
  it.each([
    ['complete without Redis', { standing: [{ partition: 0, epoch: 1, floor: 14, replacedSince: false }] }],
    ['complete without one of its partitions', { partitions: [0, 1] }],
    ['broadcast without NATS', { wasTaken: false }],
  ])('is broken by a revocation that is reported as %s', (_what, change) => {
    history.revoked(15, change);
    expect(history.checker.violation?.guarantee).toBe('G7');
  });

  it('is broken by one that a failover lost before it was confirmed, and kept where that came after', () => {
    history.revoked(15, { standing: [{ partition: 0, epoch: 2, floor: 0, replacedSince: true }] });
    expect(history.checker.violation).toBeUndefined();
    history.revoked(15, { standing: [{ partition: 0, epoch: 2, floor: 0, replacedSince: false }] });
    expect(history.checker.violation?.guarantee).toBe('G7');
  });

  it('is broken by a durable revocation that a failover has lost', () => {
    history.see('-', { kind: 'data-set-replaced', how: 'failover', lostDurable: ['r1'] });
    expect(history.checker.violation?.guarantee).toBe('G7');
  });
});
