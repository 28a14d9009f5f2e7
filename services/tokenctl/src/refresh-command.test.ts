import type { RefreshReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { run, type Outcome } from './fakes/run.js';

describe('refresh', () => {
  const whole: RefreshReply = {
    ...{ v: 1, tokens: 4, refreshed: 4, elsewhere: 0, needsCaller: 0, failed: 0, underWay: 0 },
    failures: [],
    truncated: false,
  };
  const refresh = (reply: Partial<RefreshReply>, ...more: string[]): Promise<Outcome> =>
    run(['refresh', 'payments', ...more], { refresh: () => Promise.resolve({ ...whole, ...reply }) });

  it('says how many are new', async () => {
    const outcome = await refresh({}, '--timeout', '30s');
    expect(outcome).toMatchObject({ code: 0, stdout: '4 of 4 tokens are new.\n' });
    expect(outcome.requests).toEqual([{ source: 'payments', timeoutMs: 30_000 }]);
  });

  it('ends with 1 where one failed or had not ended, and says why', async () => {
    const failures = [{ code: 'QUOTA_EXHAUSTED', message: 'the quota is used up', count: 2, retryAfterMs: 12_000 }];
    const outcome = await refresh({ refreshed: 1, failed: 2, underWay: 1, failures });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('1 of 4 tokens is new.');
    expect(outcome.stdout).toContain('2: the quota is used up [QUOTA_EXHAUSTED], again in 12 s');
    expect(outcome.stdout).toContain('1 had not ended');
    expect((await refresh({ truncated: true })).code).toBe(1);
  });

  it('leaves well alone what another broker renews, and what only its caller can', async () => {
    expect((await refresh({ refreshed: 2, elsewhere: 1, needsCaller: 1 })).code).toBe(0);
  });

  it('says that nothing is held, which is a failure only by wish', async () => {
    const nothing = { tokens: 0, refreshed: 0 };
    expect(await refresh(nothing)).toMatchObject({
      code: 0,
      stdout: 'No token is held: the next request fetches one.\n',
    });
    expect((await refresh(nothing, '--fail-if-nothing')).code).toBe(5);
  });

  it('prints the reply as JSON', async () => {
    expect(JSON.parse((await refresh({}, '--json')).stdout)).toEqual(whole);
  });
});
