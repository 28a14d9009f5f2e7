import type { RevokeReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { REVOKED, run, SLOT, throwing } from './fakes/run.js';

describe('revoke', () => {
  it('asks first, and says what would go', async () => {
    const outcome = await run(['revoke', '--source', 'payments'], { answer: true, text: 'leaked' });
    expect(outcome.code).toBe(0);
    expect(outcome.questions).toEqual([
      'Revoke the tokens of source payments: 12 tokens, 3 near caches?',
      'Why? (for the audit trail)',
    ]);
    expect(outcome.requests).toEqual([
      { selector: { source: 'payments' }, dryRun: true },
      { selector: { source: 'payments' }, reason: 'leaked' },
    ]);
    expect(outcome.stdout).toBe(
      [
        'Revoked the tokens of source payments: 12 tokens, in 42 ms.',
        'Brokers: 2 of 2 have confirmed.',
        'Near caches: 3 were told; --wait says who has confirmed.',
        'There is no undo. Brokers fetch again when they are asked, unless the source is paused (`tokenctl pause`).',
        'Revocation revocation-1',
        '',
      ].join('\n'),
    );
  });

  it('revokes nothing without a yes', async () => {
    const outcome = await run(['revoke', '--all'], { answer: false });
    expect(outcome.questions[0]).toContain('EVERY token of EVERY source');
    expect(outcome.requests).toEqual([{ selector: { all: true }, dryRun: true }]);
    expect(outcome).toMatchObject({ code: 1, stderr: 'Nothing was revoked.\n' });
  });

  it('revokes nothing without a reason: who can be asked is asked, others are told', async () => {
    for (const text of ['', '  ']) {
      const asked = await run(['revoke', '--all'], { answer: true, text });
      expect(asked.code).toBe(2);
      expect(asked.requests).toEqual([{ selector: { all: true }, dryRun: true }]);
    }
    const told = await run(['revoke', '--all', '--yes']);
    expect(told).toMatchObject({ code: 2, settings: undefined, requests: [] });
    expect(told.stderr).toContain('--reason "leaked in a log"');
    expect(await run(['revoke', '--all', '--yes', '--reason', ' '])).toMatchObject({ code: 2, requests: [] });
  });

  it.each([[['--source', 'payments']], [['--all']], [['--slot', SLOT]]])(
    'needs --yes where nobody can be asked: %j',
    async (args) => {
      const outcome = await run(['revoke', ...args]);
      expect(outcome).toMatchObject({ code: 2, settings: undefined });
      expect(outcome.stderr).toContain('give --yes');
      expect((await run(['revoke', ...args, '--json'], { answer: true })).code).toBe(2);
      expect((await run(['revoke', ...args, '--yes', '--reason', 'test'])).code).toBe(0);
    },
  );

  it('only looks in a dry run, and needs no yes for it', async () => {
    const outcome = await run(['revoke', '--slot', SLOT, '--dry-run']);
    expect(outcome.code).toBe(0);
    expect(outcome.requests).toEqual([{ selector: { slot: SLOT }, dryRun: true }]);
    expect(outcome.stdout).toBe(
      `Would revoke the token of slot ${SLOT}: 12 tokens, with 3 near caches connected.\nNothing was changed.\n`,
    );
  });

  it('sends what it waits for and why', async () => {
    const { requests, stderr } = await run([
      'revoke',
      '--all',
      '--yes',
      '--wait',
      '--timeout',
      '30s',
      '--reason',
      'leak',
    ]);
    expect(requests).toEqual([{ selector: { all: true }, wait: true, timeoutMs: 30_000, reason: 'leak' }]);
    expect(stderr).toBe('Waiting for near caches to confirm, at most 30 s.\n');
  });

  it('names who has confirmed and who has not, and fails for stragglers', async () => {
    const confirmed = [30, 10, 20].map((afterMs) => ({ caller: 'orders', instance: `i${String(afterMs)}`, afterMs }));
    const stragglers = [{ caller: 'billing', instance: 'z9' }];
    const reply = { ...REVOKED, receipts: { expected: 4, confirmed, stragglers } };
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test', '--wait'], {
      revoke: () => Promise.resolve(reply),
    });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('Near caches: 3 of 4 have confirmed.\n  after: p50 20 ms, p99 30 ms, max 30 ms\n');
    expect(outcome.stdout).toContain('Stragglers');
    expect(outcome.stdout).toContain('\n  billing/z9\n');
  });

  it.each([
    [{ complete: false, brokers: { expected: 2, acked: 1 } }, 1, /INCOMPLETE.*\n.*1 of 2.*\n.*may still answer/],
    [{ broadcast: false }, 1, /Not broadcast: NATS was away/],
    [{ audited: false }, 1, /Not audited: .*It was revoked all the same/],
    [{ audited: true }, 0, /^Revoked/],
    [{ durable: false }, 0, /Not durable: .*A failover of Redis now could lose it/],
  ])('never promises more than brokers do: %j', async (what, code, text) => {
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test'], {
      revoke: () => Promise.resolve({ ...REVOKED, ...what }),
    });
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(text);
    expect(outcome.stdout.startsWith('Revoked')).toBe(!('complete' in what));
  });

  it.each([
    [{ truncated: true }, /^Revoked EVERY .*: more than 12 tokens, in/],
    [{ slots: undefined }, /^Revoked EVERY .*: an unknown number of tokens, in/],
  ])('says what brokers could not count, which is no failure: %j', async (what, text) => {
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test', '--fail-if-nothing'], {
      revoke: () => Promise.resolve({ ...REVOKED, ...what }),
    });
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toMatch(text);
  });

  it('says that nothing matched, which is a failure only by wish', async () => {
    const revoke = (): Promise<RevokeReply> => Promise.resolve({ ...REVOKED, slots: 0 });
    const outcome = await run(['revoke', '--source', 'payments', '--yes', '--reason', 'test'], { revoke });
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('Nothing matched');
    expect(
      (await run(['revoke', '--source', 'payments', '--yes', '--reason', 'test', '--fail-if-nothing'], { revoke }))
        .code,
    ).toBe(5);
  });

  it.each([
    ['STORE_UNAVAILABLE', /Nothing is promised/],
    ['DEADLINE', /may have happened or not/],
    ['BROKER_UNAVAILABLE', /take it that nothing was revoked/],
  ] as const)('ends with 3 after %s, and says what that means', async (code, text) => {
    const outcome = await run(['revoke', '--all', '--yes', '--reason', 'test'], { revoke: throwing(code) });
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(outcome.stderr).toMatch(text);
  });

  it('prints the reply as JSON', async () => {
    const { stdout, stderr } = await run(['revoke', '--all', '--yes', '--reason', 'test', '--wait', '--json']);
    expect(JSON.parse(stdout)).toEqual(REVOKED);
    expect(stderr).toBe('');
  });
});
