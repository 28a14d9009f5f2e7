import type { ReplicaStatus, StatusReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { LOGIN, run, STATUS } from './fakes/run.js';

const COUNTS = {
  held: 4,
  requests: 1_200,
  memoryHits: 1_100,
  refusals: 3,
  idpCalls: 5,
  idpErrors: 1,
  callsSaved: 1_190,
};

function replica(broker: string, change: Partial<ReplicaStatus> = {}): ReplicaStatus {
  return {
    broker,
    version: '0.1.0',
    uptimeMs: 3_720_000,
    ready: true,
    problems: [],
    nats: { connected: true },
    redis: { available: true, leaseAgeMs: 310 },
    policy: 3,
    epochs: [7, 8],
    clockAheadMs: 4,
    counts: COUNTS,
    ...change,
  };
}

function statusOf(change: Partial<StatusReply> = {}): StatusReply {
  const sources = STATUS.sources.map((source) => ({ ...source, all: COUNTS }));
  return { ...STATUS, sources, replicas: [replica('broker-1'), replica('broker-2')], silent: [], ...change };
}

describe('status', () => {
  it('is one page', async () => {
    expect((await run(['status'])).stdout).toBe(
      [
        'Broker       broker-1 (0.1.0), up 1 h 2 m, ready',
        'Brokers      broker-1, broker-2',
        'NATS         connected',
        'Redis        away, read 1.5 s ago',
        'Partitions   2, 2 invalidations, 1 not read yet',
        'Near caches  1 near cache',
        '',
        'SOURCE     PROVIDER   HELD   IDP CALLS   IDP ERRORS   CALLS SAVED',
        'payments   oauth2        4           5            1         99000',
        '',
        'NEAR CACHE       SEEN',
        'orders/a1    12 s ago',
        '',
      ].join('\n'),
    );
  });

  it('has colours on a terminal only, and not where they are not wanted', async () => {
    const red = '\u001b[31maway';
    expect((await run(['status'], { isTTY: true })).stdout).toContain(red);
    expect((await run(['status', '--no-color'], { isTTY: true })).stdout).not.toContain('\u001b');
    expect((await run(['status'], { isTTY: true, env: { ...LOGIN, NO_COLOR: '1' } })).stdout).not.toContain('\u001b');
    expect((await run(['status', '--json'], { isTTY: true })).stdout).not.toContain('\u001b');
  });
});

describe('status of all replicas', () => {
  const page = async (change: Partial<StatusReply> = {}): Promise<string> =>
    (await run(['status'], { status: statusOf(change) })).stdout;

  it('has a row for each, and says that they agree', async () => {
    expect(await page()).toBe(
      [
        'Brokers      2 of 2 brokers have answered, all ready',
        'Versions     0.1.0',
        'Epochs       agree',
        'Settings     agree',
        'Partitions   2, 2 invalidations, 1 not read yet',
        'Near caches  1 near cache',
        '',
        'BROKER     VERSION        UP   NATS        REDIS             READ   HELD   REQUESTS   STATE',
        'broker-1   0.1.0     1 h 2 m   connected   available   310 ms ago      4       1200   ready',
        'broker-2   0.1.0     1 h 2 m   connected   available   310 ms ago      4       1200   ready',
        '',
        'SOURCE     PROVIDER   HELD   IDP CALLS   IDP ERRORS   CALLS SAVED',
        'payments   oauth2        4           5            1          1190',
        '',
        'NEAR CACHE       SEEN',
        'orders/a1    12 s ago',
        '',
      ].join('\n'),
    );
  });

  it('shows who does not answer, and why one is not ready', async () => {
    const lost = replica('broker-2', {
      ready: false,
      problems: ['Redis does not answer'],
      redis: { available: false, leaseAgeMs: null },
    });
    const text = await page({ replicas: [replica('broker-1'), lost], silent: ['broker-3'] });
    expect(text).toContain('2 of 3 brokers have answered, 1 ready');
    expect(text).toMatch(/broker-2 .* away +never .* not ready: Redis does not answer\n/);
    expect(text).toMatch(/broker-3 +no answer\n/);
  });

  it('says where they do not agree', async () => {
    const text = await page({ replicas: [replica('broker-1'), replica('broker-2', { policy: 2, epochs: [7, 9] })] });
    expect(text).toContain('DISAGREE on 1 partition (1)');
    expect(text).toContain('DIFFER: broker-2 runs an older configuration');
  });

  it('cannot have the terminal steered by what a replica says', async () => {
    expect(
      await page({ replicas: [replica('b', { ready: false, problems: ['\u001b[2J'], version: '\u001b[2J' })] }),
    ).not.toContain('\u001b');
  });

  it('names the total where brokers name some of the near caches only', async () => {
    expect(await page({ nearCachesTotal: 612 })).toContain('Near caches  612 near caches');
  });
});

describe('sources', () => {
  it('are a row each, with the sums over all brokers', async () => {
    const { stdout, stderr, code } = await run(['sources'], { status: statusOf({ silent: ['broker-3'] }) });
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'SOURCE     PROVIDER   HELD   REQUESTS   FROM MEMORY   REFUSED   IDP CALLS   IDP ERRORS   CALLS SAVED   STATE',
        'payments   oauth2        4       1200          92 %         3           5            1          1190   ok',
        '',
      ].join('\n'),
    );
    expect(stderr).toContain('without the figures of broker-3');
  });

  it('say what an operator has to see to', async () => {
    const [source] = statusOf().sources;
    if (source === undefined) throw new Error('no source');
    const budget = { limits: [], pausedMs: 4_200, breaker: 'open', credentialPausedMs: 0, open: 0 } as const;
    const refreshToken = { state: 'exhausted', sequence: 1, changedAtMs: 0 } as const;
    const { stdout } = await run(['sources'], {
      status: statusOf({ sources: [{ ...source, budget: { ...budget, limits: [] }, refreshToken }] }),
    });
    expect(stdout).toContain('REAUTH_REQUIRED, paused for 4.2 s, failing');
  });

  it('are an object with --json', async () => {
    const { stdout } = await run(['sources', '--json'], { status: statusOf() });
    expect(JSON.parse(stdout)).toMatchObject({ v: 1, sources: [{ name: 'payments', all: COUNTS }], silent: [] });
  });
});
