import { failure, TokenBrokerError, type DescribeReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { errorOf, GENERATION, run, SLOT, STATUS, throwing, type Given } from './fakes/run.js';

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

describe('slots', () => {
  const slots = [
    { source: 'payments', slot: SLOT, partition: 1, epoch: 1, generation: GENERATION, expiresInMs: 95_000 },
  ];

  it('prints a table', async () => {
    const { stdout, stderr, requests } = await run(['slots', '--source', 'payments', '--limit', '1'], {
      list: { v: 1, slots, truncated: true },
    });
    expect(stdout).toBe(
      [
        'SOURCE     SLOT                     GENERATION (UTC)          EXPIRES IN',
        `payments   ${SLOT}   2026-11-05 12:34:56.789     1 m 35 s`,
        '1 token',
        '',
      ].join('\n'),
    );
    expect(stderr).toContain('there are more');
    expect(requests).toEqual([{ source: 'payments', limit: 1 }]);
  });

  it('prints the reply as JSON, and says when nothing is held', async () => {
    const json = await run(['slots', '--json'], { list: { v: 1, slots, truncated: true } });
    expect(JSON.parse(json.stdout)).toEqual({ v: 1, slots, truncated: true });
    expect((await run(['slots'])).stdout).toBe('No token is held.\n');
  });
});
