import { ok } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Replica, type Reply } from '../fakes/fake-cluster.js';

const TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const SUBJECT_TOKEN = 'issued-to-orders';

let clock: VirtualClock;
let cluster: FakeCluster;
let replica: Replica;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(1));
  cluster.idp.reading = (token) => {
    const isGood = token.startsWith('issued-to-');
    return Promise.resolve(ok(isGood ? { owners: [token.slice('issued-to-'.length)] } : undefined));
  };
  const exchange = sourceOf({
    grant: { kind: 'token_exchange' },
    subjectToken: { type: TYPE, actorType: TYPE, check: { kind: 'introspection' }, ownerClaim: 'client_id' },
  });
  const grants = new Map([['payments-api', { scopes: [], audiences: [] }]]);
  const { callers } = configurationOf();
  replica = await cluster.start(
    configurationOf({
      sources: new Map([['payments-api', exchange]]),
      callers: new Map([...callers, ['billing', { name: 'billing', grants, admin: false, clientIds: ['billing'] }]]),
    }),
  );
});

async function ended<T>(work: Promise<T>): Promise<T> {
  await clock.advance(1_000);
  return work;
}

function report(caller: string, { epoch, generation }: Reply, subjectToken = SUBJECT_TOKEN): Promise<Reply> {
  return ended(replica.ask({ verb: 'rejected', caller }, { subjectToken, epoch, generation }));
}

describe('a report that the exchange of a subject token is refused', () => {
  it('has no effect, and costs no call, unless the subject token is the caller’s own', async () => {
    const token = await ended(replica.get({ subjectToken: SUBJECT_TOKEN }));
    expect((await report('billing', token)).error?.code).toBe('FORBIDDEN');
    expect(cluster.idp.calls).toBe(1);
    expect(await ended(replica.get({ subjectToken: SUBJECT_TOKEN }))).toMatchObject({ generation: token.generation });
  });

  it('of its owner brings another', async () => {
    const token = await ended(replica.get({ subjectToken: SUBJECT_TOKEN }));
    expect(await report('orders', token)).toMatchObject({ outcome: 'dropped' });
    expect(cluster.idp.calls).toBe(2);
    expect(cluster.idp.requests.map(({ subjectToken }) => subjectToken?.reveal())).toEqual([
      SUBJECT_TOKEN,
      SUBJECT_TOKEN,
    ]);
  });

  it('is refused when the subject token is good no longer: nothing is made of it', async () => {
    const token = await ended(replica.get({ subjectToken: SUBJECT_TOKEN }));
    cluster.idp.reading = undefined;
    // Longer than a look at a token is trusted.
    await clock.advance(60_000);
    expect((await report('orders', token)).error?.code).toBe('FORBIDDEN');
    expect(cluster.idp.calls).toBe(1);
  });
});
