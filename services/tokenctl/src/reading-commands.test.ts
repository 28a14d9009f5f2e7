import {
  failure,
  TokenBrokerError,
  type DescribeReply,
  type RefreshReply,
  type ReplicaStatus,
  type StatusReply,
} from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { errorOf, GENERATION, runOn, SLOT, STATUS, throwing, type Given, type Outcome } from './fakes/run.js';

const run = (args: readonly string[], given?: Given): Promise<Outcome> => runOn(new VirtualClock(), args, given);

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

describe('quota', () => {
  const [base] = STATUS.sources;
  const limits = [
    { limit: 100, window: '1m', used: 37, reserve: 10, reserveUsed: 2, exhaustedInMs: 42_000 },
    { limit: 20_000, window: 'month', used: 20_000, reserve: 0, reserveUsed: 0 },
  ];
  const given: Given = {
    status: {
      ...STATUS,
      sources: [
        ...(base === undefined
          ? []
          : [
              { ...base, budget: { limits, pausedMs: 0, breaker: 'closed' as const, credentialPausedMs: 0, open: 2 } },
              {
                ...base,
                name: 'mailbox',
                budget: { limits: [], pausedMs: 4_200, breaker: 'half-open' as const, credentialPausedMs: 0, open: 0 },
              },
              { ...base, name: 'calendar' },
            ]),
      ],
    },
  };

  it('is a bar for each limit, with what is left and when it would be used up', async () => {
    const { stdout, code } = await run(['quota'], given);
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'payments  ok, 2 under way',
        '      1m  [########............] 37 of 90 calls, used up in 42 s at this pace',
        '          [####................] 2 of 10 of the reserve',
        '   month  [####################] 20000 of 20000 calls, used up',
        'mailbox  paused for 4.2 s, failing, being tried',
        '  no limit',
        'calendar  not known: the brokers cannot read Redis',
        '',
      ].join('\n'),
    );
  });

  it('is that of one source where it is named, and of an unknown one a mistake', async () => {
    expect((await run(['quota', 'mailbox'], given)).stdout).not.toContain('payments');
    expect(JSON.parse((await run(['quota', 'mailbox', '--json'], given)).stdout)).toMatchObject({
      sources: [{ name: 'mailbox', budget: { pausedMs: 4_200 } }],
    });
    const unknown = await run(['quota', 'nothing', '--json'], given);
    expect(unknown.code).toBe(2);
    expect(errorOf(unknown).message).toContain('there is no source "nothing"');
  });

  it('is coloured by how full it is, on a terminal only', async () => {
    const { stdout } = await run(['quota'], { ...given, isTTY: true });
    expect(stdout).toContain('\u001b[32m########\u001b[0m');
    expect(stdout).toContain('\u001b[31m####################\u001b[0m');
  });
});

const DESCRIBED: DescribeReply = {
  v: 1,
  source: 'payments',
  provider: 'oauth2',
  grant: 'client_credentials',
  endpoint: 'https://login.example.com',
  clientId: 'payments-client',
  scopes: ['payments:read'],
  keepWarm: false,
  refreshAhead: true,
  allowed: ['orders', 'billing'],
  tokens: [{ slot: SLOT, epoch: 7, generation: GENERATION, expiresInMs: 95_000 }],
  truncated: false,
  replicas: [
    {
      broker: 'broker-1',
      held: 1,
      inDemand: 1,
      nextRefreshInMs: 60_000,
      lastFetch: { agoMs: 12_000, reason: 'refresh' },
      callers: [{ caller: 'orders', requests: 1_100 }],
      nearCaches: [{ caller: 'orders', instance: 'a1', seenMs: 100 }],
    },
    { broker: 'broker-2', held: 0, inDemand: 0, callers: [{ caller: 'orders', requests: 100 }], nearCaches: [] },
  ],
  silent: ['broker-3'],
};

describe('describe', () => {
  it('tells all of a source', async () => {
    const { stdout, code, requests } = await run(['describe', 'payments'], {
      describe: () => Promise.resolve(DESCRIBED),
    });
    expect(code).toBe(0);
    expect(requests).toEqual([{ source: 'payments' }]);
    expect(stdout).toBe(
      [
        'Source         payments',
        'Provider       oauth2, client_credentials, https://login.example.com',
        'Client         payments-client',
        'Scopes         payments:read',
        'Renewed        ahead of expiry',
        'Next renewal   in 1 m 0 s, if it is in demand (broker-1)',
        'Last fetch     12 s ago, by broker-1 (refresh)',
        'Last failure   none',
        'Allowed to     orders, billing',
        '',
        'SLOT                     GENERATION (UTC)          EXPIRES IN',
        `${SLOT}   2026-11-05 12:34:56.789     1 m 35 s`,
        '',
        'BROKER     HELD   IN DEMAND   RENEWS IN',
        'broker-1      1           1     1 m 0 s',
        'broker-2      0           0           -',
        'broker-3: no answer',
        '',
        'CALLER   REQUESTS   NEAR CACHES',
        'orders       1200             1',
        '',
      ].join('\n'),
    );
  });

  it('says why no new token comes', async () => {
    const failing: DescribeReply = {
      ...DESCRIBED,
      failure: { code: 'IDP_UNAVAILABLE', message: 'it cannot be reached', retryInMs: 4_200 },
      refreshToken: { state: 'exhausted', sequence: 7, changedAtMs: 0 },
      budget: { limits: [], pausedMs: 0, breaker: 'open', credentialPausedMs: 0, open: 0 },
    };
    const { stdout } = await run(['describe', 'payments'], { describe: () => Promise.resolve(failing) });
    expect(stdout).toContain('Last failure   now: it cannot be reached [IDP_UNAVAILABLE], again in 4.2 s');
    expect(stdout).toContain('Refresh token  REAUTH_REQUIRED: the identity provider refuses its refresh token');
    expect(stdout).toContain('Quota  failing');
  });

  it('takes a slot where there is no source of that name', async () => {
    const token = {
      generation: GENERATION,
      expiresInMs: 95_000,
      lifeMs: 600_000,
      wantedAgoMs: 250,
      wantedBy: 'orders',
    };
    const [first] = DESCRIBED.replicas;
    const reply = {
      ...DESCRIBED,
      slot: SLOT,
      partition: 3,
      replicas: first === undefined ? [] : [{ ...first, token }],
    };
    const { stdout, requests } = await run(['describe', SLOT], {
      describe: (request) =>
        request.slot === undefined
          ? Promise.reject(new TokenBrokerError(failure('UNKNOWN_SOURCE', 'there is no such source')))
          : Promise.resolve(reply),
    });
    expect(requests).toEqual([{ source: SLOT }, { slot: SLOT }]);
    expect(stdout).toContain(`Slot           ${SLOT}\n`);
    expect(stdout).toMatch(/broker-1 +1 +1 +1 m 0 s +1 m 35 s +250 ms ago by orders\n/);
  });

  it('does not take a name that can be no slot for one', async () => {
    const { code, requests } = await run(['describe', 'nothing'], { describe: throwing('UNKNOWN_SOURCE') });
    expect(code).toBe(2);
    expect(requests).toEqual([{ source: 'nothing' }]);
  });

  it('says that Redis could not be read', async () => {
    const { stdout } = await run(['describe', 'payments'], {
      describe: () => Promise.resolve({ ...DESCRIBED, tokens: null }),
    });
    expect(stdout).toContain('Redis could not be read');
  });
});

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
