import { failure, TokenBrokerError, type SourceCounts, type StatusReply } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { runOn, STATUS, type Given, type Outcome } from './fakes/run.js';
import { pacesBetween } from './top/rates.js';

const NONE: SourceCounts = {
  held: 1,
  requests: 0,
  memoryHits: 0,
  refusals: 0,
  idpCalls: 0,
  idpErrors: 0,
  callsSaved: 0,
};

function statusOf(counts: Readonly<Record<string, Partial<SourceCounts>>>, silent: string[] = []): StatusReply {
  const replicas = Object.entries(counts).map(([broker, change]) => ({
    ...{ broker, version: '0.1.0', uptimeMs: 1, ready: true, problems: [], nats: { connected: true } },
    ...{ redis: { available: true, leaseAgeMs: 1 }, policy: 1, epochs: [1], clockAheadMs: 0 },
    counts: { ...NONE, ...change },
  }));
  const all = replicas.reduce((sum, one) => ({ ...sum, requests: sum.requests + one.counts.requests }), NONE);
  const limits = [{ limit: 100, window: '1m', used: 80, reserve: 10, reserveUsed: 0 }];
  const budget = { limits, pausedMs: 0, breaker: 'closed', credentialPausedMs: 0, open: 0 } as const;
  const sources = STATUS.sources.map((source) => ({ ...source, all, budget: { ...budget, limits } }));
  return { ...STATUS, sources, replicas, silent };
}

/** What brokers answer, one after the other; the last again and again. */
function answering(...replies: (StatusReply | Error)[]): NonNullable<Given['status']> {
  let next = 0;
  return () => {
    const reply = replies[Math.min(next++, replies.length - 1)];
    return reply === undefined || reply instanceof Error
      ? Promise.reject(reply ?? new Error('none'))
      : Promise.resolve(reply);
  };
}

async function top(given: Given, ...more: string[]): Promise<Outcome> {
  const clock = new VirtualClock();
  let outcome: Outcome | undefined;
  const running = runOn(clock, ['top', ...more], given).then((ended) => (outcome = ended));
  for (let i = 0; i < 100 && outcome === undefined; i++) await clock.advance(500);
  return running;
}

const BEFORE = statusOf({ b1: { requests: 1_000, memoryHits: 900 }, b2: { requests: 10 } });
const NOW = statusOf({ b1: { requests: 1_400, memoryHits: 1_200, idpCalls: 2 }, b2: { requests: 10 } });

describe('top', () => {
  it('shows paces between two answers, by broker and by source, and budgets', async () => {
    const { code, stdout } = await top({ status: answering(BEFORE, NOW) }, '--count', '1');
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(1)).toEqual([
      '200 requests/s, 75 % from memory, 1.0 IdP calls/s, 0.0 refused/s',
      '',
      'BROKER   REQUESTS/S   FROM MEMORY   IDP CALLS/S   HELD   STATE',
      'b1              200          75 %           1.0      1   ready',
      'b2              0.0             -           0.0      1   ready',
      '',
      'SOURCE     REQUESTS/S   FROM MEMORY   IDP CALLS/S   HELD   QUOTA',
      'payments          200           0 %           0.0      1   [#################...] 80/90 in 1m',
      '',
      '',
    ]);
    expect(stdout).toMatch(/^Token Broker {2}2 of 2 brokers, 1 near cache, \d\d:\d\d:\d\d\n/);
  });

  it('draws over itself on a terminal only', async () => {
    const given = { status: answering(BEFORE, NOW), isTTY: true };
    expect((await top(given, '--count', '2')).stdout.split('\u001b[H')).toHaveLength(3);
    expect((await top({ status: answering(BEFORE, NOW) }, '--count', '2')).stdout).not.toContain('\u001b');
  });

  it('is an object a line with --json', async () => {
    const { stdout } = await top({ status: answering(BEFORE, NOW) }, '--count', '2', '--json', '--interval', '1s');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ whole: { requestsPerSecond: 400 }, status: { broker: 'broker-1' } });
    expect(lines[1]).toMatchObject({ whole: { requestsPerSecond: 0 } });
  });

  it('goes on where one answer does not come, but not where the first does not', async () => {
    const away = new TokenBrokerError(failure('BROKER_UNAVAILABLE', 'no broker answers'));
    const outcome = await top({ status: answering(BEFORE, away, NOW) }, '--count', '1');
    expect(outcome).toMatchObject({ code: 0, stderr: 'warning: no broker answers [BROKER_UNAVAILABLE]\n' });
    expect(outcome.stdout).toContain('100 requests/s');
    expect((await top({ status: answering(away) })).code).toBe(3);
  });

  it('ends when it is interrupted', async () => {
    expect((await top({ status: answering(BEFORE), interrupted: Promise.resolve() })).code).toBe(0);
  });
});

describe('paces', () => {
  it('never go backwards when a broker has started again, and count none that was not there before', () => {
    const now = statusOf({ b1: { requests: 5 }, b3: { requests: 1_000_000 } });
    const { whole, brokers } = pacesBetween({ status: BEFORE, atMs: 0 }, { status: now, atMs: 1_000 });
    expect(whole.requestsPerSecond).toBe(0);
    expect(brokers.get('b3')?.requestsPerSecond).toBe(0);
    expect([...brokers.keys()]).toEqual(['b1', 'b3']);
  });
});
