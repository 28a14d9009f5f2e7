import { createHash } from 'node:crypto';
import type { RevokeReply } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { errorOf, GENERATION, PAUSED, REVOKED, run, STATUS, throwing } from './fakes/run.js';

const DIGEST = createHash('sha256').update('leaked-token').digest('hex');
/** Of the clock that a run has. */
const NOW = new VirtualClock().wallMs();
const at = (ms: number): string => new Date(ms).toISOString();

/** What spares a revocation its questions. */
const SURE = ['--yes', '--reason', 'a test'];

describe('revoke', () => {
  it.each<[string[], object, string]>([
    [['--provider', 'oauth2'], { provider: 'oauth2' }, 'the tokens of every source of provider oauth2'],
    [['--used-by', 'orders'], { caller: 'orders' }, 'the tokens of every source that orders may use'],
    [['--subject', 'auth0|jane'], { subject: 'auth0|jane' }, 'the tokens on behalf of "auth0|jane" of every source'],
    [
      ['--subject', 'jane', '--source', 'invoices'],
      { subject: 'jane', source: 'invoices' },
      'the tokens on behalf of "jane" of source invoices',
    ],
    [
      ['--token-sha256', DIGEST.toUpperCase()],
      { tokenSha256: DIGEST },
      `the token with SHA-256 ${DIGEST.slice(0, 12)}… of every source`,
    ],
    [
      ['--issued-before', at(NOW - 60_000), '--source', 'invoices'],
      { issuedBeforeMs: NOW - 60_000, source: 'invoices' },
      `the tokens from before ${at(NOW - 60_000)
        .replace('T', ' ')
        .replace('Z', '')} (UTC) of source invoices`,
    ],
    [['--issued-before', '15m'], { issuedBeforeMs: NOW - 900_000 }, 'of every source'],
  ])('takes %j', async (args, selector, text) => {
    const outcome = await run(['revoke', ...args, '--dry-run']);
    expect(outcome.requests).toEqual([{ selector, dryRun: true }]);
    expect(outcome.stdout).toContain(text);
  });

  it('reads a token from standard input, and sends nothing but its digest', async () => {
    const outcome = await run(['revoke', '--token-stdin', ...SURE], { secret: 'leaked-token\n' });
    expect(outcome.requests).toEqual([{ selector: { tokenSha256: DIGEST }, reason: 'a test' }]);
    expect(JSON.stringify(outcome)).not.toContain('leaked-token');
  });

  it.each<[string[], RegExp]>([
    [['--used-by', 'orders', '--source', 'a'], /exclude each other/],
    [['--subject', 'jane', '--token-sha256', DIGEST], /exclude each other/],
    [['--provider', 'a.b'], /--provider is no name/],
    [['--used-by', ''], /--used-by is no name/],
    [['--subject', ''], /no subject/],
    [['--subject', 'a\nb'], /no subject/],
    [['--token-sha256', 'abc'], /no SHA-256/],
    [['--issued-before', 'yesterday'], /no moment/],
    [['--issued-before', '2026-11-05T12:30:00'], /time zone/],
    [['--issued-before', '2026-13-05T12:30:00Z'], /no moment/],
    [['--issued-before', at(NOW + 1_000)], /not in the past/],
    [['--graceful', '--all'], /--graceful is for --source and --slot/],
    [['--graceful', '--source', 'a', '--dry-run'], /exclude each other/],
  ])('refuses %j', async (args, why) => {
    const outcome = await run(['revoke', ...SURE, ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '', settings: undefined });
    expect(outcome.stderr).toMatch(why);
  });

  it('refuses more than one token', async () => {
    const outcome = await run(['revoke', '--token-stdin', ...SURE], { secret: 'one-token\nanother-token\n' });
    expect(outcome).toMatchObject({ code: 2, settings: undefined });
    expect(outcome.stderr).not.toMatch(/one-token|another-token/);
  });

  it('says what was found where, and what nobody could judge, which is a failure', async () => {
    const found = {
      sources: [
        { name: 'invoices', slots: 10 },
        { name: 'statements', slots: 2 },
      ],
      inFlight: 1,
      unjudged: 3,
    };
    const revoke = ({ dryRun = false }): Promise<RevokeReply> => Promise.resolve({ ...REVOKED, ...found, dryRun });
    const lines = [
      '  invoices: 10 tokens',
      '  statements: 2 tokens',
      '  1 fetch under way among them, which nobody can judge yet.',
      '  3 tokens more may be meant, and cannot be judged: revoke their source to be sure.',
    ];
    const dry = await run(['revoke', '--subject', 'jane', '--dry-run'], { revoke });
    expect(dry.code).toBe(0);
    expect(dry.stdout.split('\n').slice(1, 5)).toEqual(lines);
    const done = await run(['revoke', '--subject', 'jane'], { revoke, answer: true, text: 'a test' });
    expect(done.code).toBe(1);
    expect(done.questions[0]).toContain('12 tokens (3 more cannot be judged, and stay), 3 near caches?');
    expect(done.stdout).toContain(lines.join('\n'));
  });

  it('says that nothing was found, which is a failure only by wish', async () => {
    const nothing = { ...REVOKED, id: '', slots: 0, inFlight: 0, unjudged: 0, brokers: { expected: 0, acked: 0 } };
    const revoke = (): Promise<RevokeReply> => Promise.resolve(nothing);
    const outcome = await run(['revoke', '--subject', 'jane', ...SURE], { revoke });
    expect(outcome).toMatchObject({
      code: 0,
      stdout: 'Nothing matched the tokens on behalf of "jane" of every source.\n',
    });
    expect((await run(['revoke', '--subject', 'jane', ...SURE, '--fail-if-nothing'], { revoke })).code).toBe(5);
  });

  it('tells of ten thousand near caches by counts, percentiles and the bound', async () => {
    const receipts = {
      expected: 10_000,
      confirmed: [{ caller: 'orders', instance: 'slow', afterMs: 300 }],
      stragglers: Array.from({ length: 1_000 }, (_, i) => ({ caller: 'orders', instance: `i${String(i)}` })),
      counts: { confirmed: 8_000, stragglers: 2_000 },
      afterMs: { p50: 80, p99: 220, max: 300 },
      maxStalenessMs: 60_000,
    };
    const revoke = (): Promise<RevokeReply> => Promise.resolve({ ...REVOKED, receipts });
    const outcome = await run(['revoke', '--all', ...SURE, '--wait'], { revoke });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain(
      'Near caches: 8000 of 10000 have confirmed.\n  after: p50 80 ms, p99 220 ms, max 300 ms\n' +
        'Stragglers, which may serve revoked tokens for 1 m 0 s at most after they were last verified:\n  orders/i0\n',
    );
    expect(outcome.stdout).toContain('\n  and 1950 more (--json names up to a thousand)\n');
  });

  it('fetches successors first where that is wanted, and fails for those that it could not have', async () => {
    const graceful = {
      replaced: 11,
      failed: 1,
      failures: [
        { source: 'payments', slot: 'abcdefghijklmnopqrstuv', code: 'IDP_UNAVAILABLE', message: 'it is away' },
      ],
    };
    const revoke = (): Promise<RevokeReply> => Promise.resolve({ ...REVOKED, slots: 11, graceful });
    const outcome = await run(['revoke', '--source', 'payments', '--graceful', ...SURE], { revoke });
    expect(outcome).toMatchObject({
      code: 1,
      stderr: 'Waiting for successors, at most 10 s.\n',
      requests: [{ selector: { source: 'payments' }, graceful: true, reason: 'a test', timeoutMs: 10_000 }],
    });
    expect(outcome.stdout).toContain(
      'Successors: 11 of 12 were fetched first.\nKept, since they have no successor; without --graceful they go at once:\n' +
        '  payments abcdefghijklmnopqrstuv: it is away [IDP_UNAVAILABLE]\n',
    );
  });
});

describe('pause and resume', () => {
  it('say what holds from then on', async () => {
    const paused = await run(['pause', 'payments', '--reason', 'leaked']);
    expect(paused).toMatchObject({ code: 0, requests: [{ pause: { source: 'payments', reason: 'leaked' } }] });
    expect(paused.stdout).toMatch(/^Paused: no broker begins to fetch a token of source payments/);
    expect(paused.stdout).toContain('`tokenctl revoke --source payments` ends both.');
    const resumed = await run(['resume', 'payments']);
    expect(resumed).toMatchObject({ code: 0, requests: [{ resume: { source: 'payments' } }] });
    expect(resumed.stdout).toBe('Resumed: tokens of source payments are fetched again.\n');
  });

  it('say where it was so before', async () => {
    const pause = () => Promise.resolve({ ...PAUSED, changed: false });
    expect((await run(['pause', 'payments'], { pause })).stdout).toMatch(
      /^Source payments is paused since 2026-11-05 12:34:56\.789 \(UTC\)\.\n/,
    );
    const resume = () => Promise.resolve({ v: 1 as const, source: 'payments', paused: false, changed: false });
    expect((await run(['resume', 'payments'], { resume })).stdout).toBe('Source payments was not paused.\n');
    expect(JSON.parse((await run(['pause', 'payments', '--json'])).stdout)).toEqual(PAUSED);
  });

  it.each([
    [['pause'], /missing required argument/],
    [['pause', '*'], /"\*" is no source/],
    [['resume', ''], /the source is empty/],
    [['pause', 'a', 'b'], /too many arguments/],
    [['pause', 'a', '--reason', 'x'.repeat(501)], /too long/],
  ])('refuse %j', async (args, why) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code: 2, settings: undefined });
    expect(outcome.stderr).toMatch(why);
  });

  it('leave no doubt that there is one where no answer came', async () => {
    const outcome = await run(['pause', 'payments', '--json'], { pause: throwing('DEADLINE') });
    expect(outcome.code).toBe(3);
    expect(errorOf(outcome)).toMatchObject({
      code: 'DEADLINE',
      remedy: expect.stringMatching(/happened or not/) as string,
    });
  });

  it('are seen in the status', async () => {
    const [source] = STATUS.sources;
    if (source === undefined) throw new Error('a status without sources');
    const status = { ...STATUS, sources: [{ ...source, pausedSinceMs: GENERATION / 1_000 }] };
    expect((await run(['status'], { status })).stdout).toContain(
      '\nPAUSED payments: since 2026-11-05 12:34:56.789 (UTC); `tokenctl resume payments` lets it go on\n',
    );
  });
});
