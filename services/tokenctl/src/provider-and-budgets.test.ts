import type { BudgetStatus, RevokeReply, StatusReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { REVOKED, run, STATUS, type Given, type Outcome } from './fakes/run.js';

describe('revoke --at-provider', () => {
  const revoke = (provider: RevokeReply['provider'], ...more: string[]): Promise<Outcome> =>
    run(['revoke', '--source', 'payments', '--yes', '--reason', 'test', '--at-provider', ...more], {
      revoke: () => Promise.resolve({ ...REVOKED, ...(provider === undefined ? {} : { provider }) }),
    });

  it('asks the brokers to, and says how long that may take', async () => {
    const outcome = await revoke({ asked: 12, revoked: 12, unsupported: 0, failed: 0 });
    expect(outcome.code).toBe(0);
    const selector = { source: 'payments' };
    expect(outcome.requests).toEqual([{ selector, reason: 'test', atProvider: true, timeoutMs: 10_000 }]);
    expect(outcome.stderr).toBe('Waiting for the identity provider, at most 10 s.\n');
    expect(outcome.stdout).toContain('\nTaken back at the identity provider: 12 of 12.\n');
  });

  it('may wait for near caches too', async () => {
    const { requests, stderr } = await revoke({ asked: 0, revoked: 0, unsupported: 0, failed: 0 }, '--wait');
    const selector = { source: 'payments' };
    expect(requests).toEqual([{ selector, reason: 'test', wait: true, atProvider: true, timeoutMs: 10_000 }]);
    expect(stderr).toContain('Waiting for near caches and the identity provider');
  });

  it('is not sent unless it is asked for', async () => {
    const { requests, stdout } = await run(['revoke', '--source', 'payments', '--yes', '--reason', 'test']);
    expect(requests).toEqual([{ selector: { source: 'payments' }, reason: 'test' }]);
    expect(stdout).not.toContain('identity provider');
  });

  it.each([
    [{ asked: 14, revoked: 12, unsupported: 0, failed: 2 }, '12 of 14 (2 failed).'],
    [{ asked: 3, revoked: 0, unsupported: 3, failed: 0 }, '0 of 3 (3 of a source that has no way to).'],
    [{ asked: 9, revoked: 4, unsupported: 3, failed: 2 }, '4 of 9 (2 failed, 3 of a source that has no way to).'],
  ])('ends with 1 where not all were taken back, and says what that means: %j', async (provider, text) => {
    const outcome = await revoke(provider);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain(`\nTaken back at the identity provider: ${text}\n  Whoever has one of the others`);
    const json = await revoke(provider, '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toEqual({ ...REVOKED, provider });
  });

  it('is no failure where there was nothing to take back, and is one where the broker says nothing of it', async () => {
    const none = await revoke({ asked: 0, revoked: 0, unsupported: 0, failed: 0 });
    expect(none.code).toBe(0);
    expect(none.stdout).toContain('Taken back at the identity provider: none, since none was held.');
    expect((await revoke(undefined)).code).toBe(1);
  });

  it('says so in the question, and excludes a dry run', async () => {
    const { questions, requests } = await run(['revoke', '--source', 'payments', '--at-provider'], { answer: false });
    expect(questions).toEqual([
      'Revoke the tokens of source payments: 12 tokens, 3 near caches, at the identity provider too?',
    ]);
    expect(requests).toEqual([{ selector: { source: 'payments' }, dryRun: true }]);
    const dry = await run(['revoke', '--all', '--dry-run', '--at-provider']);
    expect(dry).toMatchObject({ code: 2, settings: undefined });
    expect(dry.stderr).toContain('exclude each other');
  });
});

describe('status of budgets and refresh tokens', () => {
  const [base] = STATUS.sources;
  const budget: BudgetStatus = { limits: [], pausedMs: 0, breaker: 'closed', credentialPausedMs: 0, open: 0 };
  const page = (...sources: Partial<StatusReply['sources'][number]>[]): Given => ({
    status: {
      ...STATUS,
      nearCaches: [],
      sources: sources.flatMap((source) => (base === undefined ? [] : [{ ...base, ...source }])),
    },
  });
  /** The page below its table of sources. */
  const below = async (given: Given): Promise<string> => {
    const { stdout } = await run(['status'], given);
    return stdout.split('\n\n').slice(2).join('\n\n');
  };

  it('says nothing where the broker does not tell, as older ones do not', async () => {
    expect(await below(page({}))).toBe('');
  });

  it('says nothing of a budget without a limit that holds nothing back', async () => {
    expect(await below(page({ budget }))).toBe('');
  });

  it('shows each limit of a source, its reserve, and why its calls are held back', async () => {
    const text = await below(
      page(
        {
          budget: {
            ...budget,
            limits: [
              { limit: 100, window: '1m', used: 37, reserve: 10, reserveUsed: 2 },
              { limit: 20_000, window: 'month', used: 18_211, reserve: 0, reserveUsed: 0 },
            ],
            open: 2,
          },
        },
        { name: 'mailbox', budget: { ...budget, pausedMs: 4_200, breaker: 'half-open', open: 1 } },
        { name: 'calendar', budget: { ...budget, breaker: 'open', credentialPausedMs: 600_000 } },
      ),
    );
    expect(text).toBe(
      [
        'BUDGET     WINDOW         CALLS   RESERVE   UNDER WAY   STATE',
        'payments       1m         37/90      2/10           2   ok',
        '            month   18211/20000         -',
        'mailbox         -             -         -           1   paused for 4.2 s, failing, being tried',
        'calendar        -             -         -           0   failing, credential refused, tried again in 10 m 0 s',
        '',
      ].join('\n'),
    );
  });

  it('shows refresh tokens, and which of them an operator has to see to', async () => {
    const changedAtMs = Date.UTC(2026, 10, 5, 12, 34, 56, 789);
    const text = await below(
      page(
        { name: 'mailbox', refreshToken: { state: 'ready', sequence: 41, changedAtMs } },
        { name: 'calendar', refreshToken: { state: 'exhausted', sequence: 7, changedAtMs } },
        { name: 'contacts', refreshToken: { state: 'missing', sequence: 0, changedAtMs: 0 } },
      ),
    );
    expect(text).toBe(
      [
        'SOURCE     REFRESH TOKEN   ROTATIONS   CHANGED (UTC)',
        'mailbox    ready                  41   2026-11-05 12:34:56.789',
        'calendar   exhausted               7   2026-11-05 12:34:56.789',
        'contacts   missing                 0   -',
        'REAUTH_REQUIRED calendar: the identity provider refuses its refresh token; `tokenctl refresh-token set calendar` puts one there',
        'REAUTH_REQUIRED contacts: no refresh token was ever put there; `tokenctl refresh-token set contacts` puts one there',
        '',
      ].join('\n'),
    );
  });

  it('cannot have the terminal steered by what a broker says', async () => {
    const limits = [{ limit: 1, window: '1m\u001b[2J', used: 0, reserve: 0, reserveUsed: 0 }];
    expect(await below(page({ budget: { ...budget, limits } }))).not.toContain('\u001b');
  });

  it('prints all of it as JSON', async () => {
    const given = page({ budget, refreshToken: { state: 'missing', sequence: 0, changedAtMs: 0 } });
    expect(JSON.parse((await run(['status', '--json'], given)).stdout)).toEqual(given.status);
  });
});
