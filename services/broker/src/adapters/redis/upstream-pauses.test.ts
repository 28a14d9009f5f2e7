import { beforeEach, describe, expect, it } from 'vitest';
import { ANSWERED, BudgetCalls, CALL_MS, type BudgetBed } from '../../app/fakes/budget-bed.js';
import type { SettleRequest } from '../../app/ports/upstream-budgets.js';
import { full, minute, MINUTE_MS, onBothBudgets } from './fakes/budget-beds.js';

const START_MS = Date.UTC(2027, 0, 1);

const DOWN = { kind: 'unavailable', code: 'IDP_UNAVAILABLE', message: 'it is down', pauseMs: 0 } as const;
const REFUSED = { kind: 'credential-refused', code: 'IDP_DENIED', message: 'unknown client' } as const;
const throttled = (pauseMs: number): SettleRequest['outcome'] => ({ kind: 'throttled', pauseMs, message: 'slowly' });

onBothBudgets(START_MS, (createBed) => {
  let bed: BudgetBed;
  let calls: BudgetCalls;

  beforeEach(async () => {
    bed = await createBed();
    calls = new BudgetCalls(bed.budgets);
  });

  describe('a pause that the provider asked for', () => {
    it('holds for every call of the upstream, whatever its credential, and tells why', async () => {
      await calls.make('a', throttled(7_000));
      const refused = { kind: 'refused', why: 'paused', code: 'QUOTA_EXHAUSTED', message: 'slowly' };
      expect(await calls.permit('b')).toEqual({ ...refused, retryAfterMs: 7_000 });
      expect(await calls.permit('b', { credential: 'c2' })).toEqual({ ...refused, retryAfterMs: 7_000 });
      expect((await calls.state()).pausedMs).toBe(7_000);
      await bed.pass(7_000);
      expect(await calls.permit('b')).toEqual({ kind: 'go' });
    });

    it('grows from one to sixty seconds where it says nothing, and begins again after an answer', async () => {
      const pauses: number[] = [];
      for (let i = 0; i < 8; i++) {
        await calls.make(`a${String(i)}`, throttled(0), {});
        const { pausedMs } = await calls.state();
        pauses.push(pausedMs);
        await bed.pass(pausedMs);
      }
      expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
      await calls.make('good');
      await calls.make('bad', throttled(0));
      expect((await calls.state()).pausedMs).toBe(500);
    });

    it('has jitter in its upper half', async () => {
      await calls.permit('a');
      await calls.settle('a', throttled(0), { uniform: 0.5 });
      expect((await calls.state()).pausedMs).toBe(750);
    });

    it('is one pause, however many calls meet it, and no answer to an earlier call ends it', async () => {
      for (const call of ['a', 'b', 'c']) await calls.permit(call);
      await calls.settle('a', throttled(0));
      await calls.settle('b', throttled(0));
      await calls.settle('c', ANSWERED);
      expect((await calls.state()).pausedMs).toBe(500);
      await bed.pass(500);
      await calls.make('d', throttled(0));
      expect((await calls.state()).pausedMs).toBe(1_000);
    });

    it('begins again after ten quiet minutes, also where an outage asked for the pause before it', async () => {
      for (let i = 0; i < 3; i++) {
        await calls.make(`a${String(i)}`, throttled(0));
        await bed.pass((await calls.state()).pausedMs);
      }
      // Something else that is kept longer.
      await calls.permit('b', { limits: [{ window: { kind: 'sliding', ms: 3_600_000 }, common: 9, reserve: 0 }] });
      await bed.pass(600_001);
      await calls.make('c', { ...DOWN, pauseMs: 2_000 });
      await bed.pass(2_000);
      await calls.make('d', throttled(0));
      expect((await calls.state()).pausedMs).toBe(500);
    });

    it('is never shortened, and bounded where a provider asks for ever', async () => {
      for (const call of ['a', 'b', 'c']) await calls.permit(call);
      await calls.settle('a', throttled(9_000));
      await calls.settle('b', throttled(3_000));
      expect((await calls.state()).pausedMs).toBe(9_000);
      await calls.settle('c', throttled(1e30));
      expect((await calls.state()).pausedMs).toBe(366 * 86_400_000);
    });

    it('holds with the outage that asked for it', async () => {
      await calls.make('a', { ...DOWN, pauseMs: 2_000 });
      expect(await calls.permit('b')).toMatchObject({ why: 'paused', code: 'IDP_UNAVAILABLE', retryAfterMs: 2_000 });
    });

    it('tells the time at which all that refuses is over', async () => {
      await calls.permit('x');
      await calls.make('a', ANSWERED, { limits: minute(1) });
      await calls.settle('x', throttled(5_000));
      expect(await calls.permit('b', { limits: minute(1) })).toEqual(full(MINUTE_MS + 1));
      expect(await calls.permit('b')).toMatchObject({ why: 'paused', retryAfterMs: 5_000 });
    });
  });

  describe('what the provider says is left', () => {
    const after = (call: string, remaining: number, resetMs = 10_000): Promise<void> =>
      calls.settle(call, ANSWERED, { observed: { remaining, resetMs } });

    it('is taken up by permits, and refuses when nothing is left, until the reset', async () => {
      await calls.permit('a');
      await after('a', 2);
      await calls.make('b');
      await calls.make('c');
      expect(await calls.permit('d')).toMatchObject({ why: 'paused', code: 'QUOTA_EXHAUSTED', retryAfterMs: 10_000 });
      expect((await calls.state()).pausedMs).toBe(10_000);
      await bed.pass(10_000);
      expect(await calls.permit('d')).toEqual({ kind: 'go' });
    });

    it('is less by the other calls that are under way, which it may not count yet', async () => {
      for (const call of ['a', 'b', 'c']) await calls.permit(call);
      await after('a', 3);
      expect(await calls.permit('d')).toEqual({ kind: 'go' });
      expect((await calls.permit('e')).kind).toBe('refused');
    });

    it('is never raised before the reset, but lowered, and given back by a call that was not made', async () => {
      for (const call of ['a', 'b', 'c']) await calls.permit(call);
      await after('a', 3);
      await after('b', 100);
      await after('c', 1);
      await calls.permit('d');
      expect((await calls.permit('e')).kind).toBe('refused');
      await calls.settle('d', { kind: 'not-made' });
      expect(await calls.permit('e')).toEqual({ kind: 'go' });
      expect((await calls.permit('f')).kind).toBe('refused');
    });
  });

  describe('the breaker', () => {
    const fail = async (times: number, name: string): Promise<void> => {
      for (let i = 0; i < times; i++) await calls.make(`${name}${String(i)}`, DOWN);
    };

    it('opens after five failures in a row, whoever made the calls', async () => {
      await fail(4, 'a');
      await calls.make('good');
      await fail(4, 'b');
      expect((await calls.state()).breaker).toBe('closed');
      await calls.make('fifth', DOWN, { credential: 'c2' });
      expect(await calls.permit('c')).toEqual({
        ...{ kind: 'refused', why: 'breaker', code: 'IDP_UNAVAILABLE', message: 'it is down', retryAfterMs: 500 },
      });
      expect((await calls.state()).breaker).toBe('open');
    });

    it('lets one call at a time try when its pause is over, and closes with any answer', async () => {
      await fail(5, 'a');
      await bed.pass(500);
      expect((await calls.state()).breaker).toBe('half-open');
      expect(await calls.permit('probe')).toEqual({ kind: 'go' });
      expect(await calls.permit('other')).toMatchObject({ why: 'breaker', retryAfterMs: 1_000 });
      expect(await calls.permit('probe')).toEqual({ kind: 'go' });
      await calls.settle('probe', ANSWERED);
      expect((await calls.state()).breaker).toBe('closed');
      expect(await calls.permit('other')).toEqual({ kind: 'go' });
    });

    it('pauses longer each time that the one call fails, up to thirty seconds', async () => {
      await fail(5, 'a');
      const pauses: number[] = [];
      for (let i = 0; i < 7; i++) {
        const reply = await calls.permit('next');
        if (reply.kind === 'go') throw new Error('the breaker is not open');
        pauses.push(reply.retryAfterMs);
        await bed.pass(reply.retryAfterMs);
        await calls.make(`probe${String(i)}`, DOWN);
      }
      expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    });

    it('counts calls that were under way when it opened neither as probes nor as growth', async () => {
      await calls.permit('late');
      await fail(5, 'a');
      await calls.settle('late', DOWN);
      expect(await calls.permit('b')).toMatchObject({ why: 'breaker', retryAfterMs: 500 });
    });

    it('counts a failure once that is told twice', async () => {
      await fail(4, 'a');
      for (let i = 0; i < 4; i++) await calls.settle('a3', DOWN);
      expect((await calls.state()).breaker).toBe('closed');
    });

    it('lets another try when the one call never tells of its end, or was not made', async () => {
      await fail(5, 'a');
      await bed.pass(500);
      await calls.permit('lost');
      await bed.pass(CALL_MS - 300);
      expect(await calls.permit('b')).toMatchObject({ why: 'breaker', retryAfterMs: 301 });
      await bed.pass(301);
      expect(await calls.permit('b')).toEqual({ kind: 'go' });
      await calls.settle('b', { kind: 'not-made' });
      expect(await calls.permit('c')).toEqual({ kind: 'go' });
    });

    it('is open as long as the provider asked for, at least', async () => {
      await fail(4, 'a');
      await calls.make('b', { ...DOWN, pauseMs: 45_000 });
      await bed.pass(44_999);
      expect((await calls.state()).breaker).toBe('open');
      await bed.pass(1);
      expect((await calls.state()).breaker).toBe('half-open');
    });
  });

  describe('a credential that is refused', () => {
    it('pauses alone: another one at the same upstream goes on', async () => {
      await calls.make('a', REFUSED);
      expect(await calls.permit('b')).toEqual({
        ...{ kind: 'refused', why: 'credential', code: 'IDP_DENIED', message: 'unknown client', retryAfterMs: 2_500 },
      });
      expect((await calls.state()).credentialPausedMs).toBe(2_500);
      expect(await calls.permit('b', { credential: 'c2' })).toEqual({ kind: 'go' });
    });

    it('is tried by one call at a time, with longer pauses up to ten minutes', async () => {
      await calls.make('a', REFUSED);
      const pauses: number[] = [];
      for (let i = 0; i < 9; i++) {
        const { credentialPausedMs } = await calls.state();
        pauses.push(credentialPausedMs);
        await bed.pass(credentialPausedMs);
        expect(await calls.permit(`probe${String(i)}`)).toEqual({ kind: 'go' });
        expect(await calls.permit('other')).toMatchObject({ why: 'credential', retryAfterMs: 1_000 });
        await calls.settle(`probe${String(i)}`, REFUSED);
      }
      expect(pauses).toEqual([2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    });

    it('is good again with the first answer', async () => {
      await calls.make('a', REFUSED);
      await bed.pass(2_500);
      await calls.make('b');
      for (const call of ['c', 'd']) expect(await calls.permit(call)).toEqual({ kind: 'go' });
    });

    it('is one refusal, however many calls were under way; and the probe may be lost', async () => {
      for (const call of ['a', 'b', 'c']) await calls.permit(call);
      for (const call of ['a', 'b', 'c']) await calls.settle(call, REFUSED);
      expect((await calls.state()).credentialPausedMs).toBe(2_500);
      await bed.pass(2_500);
      await calls.permit('lost');
      await bed.pass(CALL_MS + 1);
      expect(await calls.permit('d')).toEqual({ kind: 'go' });
    });

    it('is an answer of the provider: the breaker closes', async () => {
      for (let i = 0; i < 5; i++) await calls.make(`a${String(i)}`, DOWN);
      await bed.pass(500);
      await calls.make('b', REFUSED);
      expect((await calls.state()).breaker).toBe('closed');
    });
  });
});
