import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { delay, ok } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Replica, type Reply } from '../fakes/fake-cluster.js';

const TYPE = 'urn:ietf:params:oauth:token-type:access_token';

let clock: VirtualClock;
let cluster: FakeCluster;
/** The client that the identity provider names as the owner of each token. */
let owner: string;

function configurationWith(change: Partial<OAuth2SourceConfiguration> = {}, clientId = 'orders') {
  const grants = new Map([['payments-api', { scopes: [], audiences: [] }]]);
  const source = sourceOf({
    grant: { kind: 'token_exchange' },
    subjectToken: { type: TYPE, actorType: TYPE, check: { kind: 'introspection' }, ownerClaim: 'client_id' },
    ...change,
  });
  return configurationOf({
    sources: new Map([['payments-api', source]]),
    callers: new Map([
      ...configurationOf().callers,
      ['orders', { name: 'orders', grants, admin: false, clientIds: [clientId] }],
      ['billing', { name: 'billing', grants, admin: false, clientIds: ['billing'] }],
    ]),
  });
}

async function ended<T>(work: Promise<T>, ms = 5_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

function get(replica: Replica, more: object = {}): Promise<Reply> {
  return replica.get({ subjectToken: 'of-orders', ...more });
}

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(7));
  owner = 'orders';
  cluster.idp.reading = () => Promise.resolve(ok({ owners: [owner] }));
});

it('is judged anew when a reload changes who judges while it is checked', async () => {
  const one = await cluster.start(configurationWith());
  cluster.idp.reading = async () => {
    const found = owner;
    await delay(clock, 1_000);
    return ok({ owners: [found] });
  };
  const reply = get(one);
  owner = 'somebody';
  one.file = configurationWith({ endpoint: { kind: 'issuer', issuer: 'https://other.example.com' } });
  const reloaded = one.broker.reload();
  expect((await ended(reply)).error).toMatchObject({ code: 'FORBIDDEN' });
  expect(await reloaded).toMatchObject({ problems: [] });
  expect(cluster.idp.calls).toBe(0);
});

it('goes to another identity provider only when it is good there too', async () => {
  const one = await cluster.start(configurationWith());
  cluster.idp.tookMs = 2_000;
  const reply = get(one);
  await clock.advance(1_000);
  owner = 'somebody';
  one.file = configurationWith({ endpoint: { kind: 'issuer', issuer: 'https://other.example.com' } });
  const reloaded = one.broker.reload();
  expect((await ended(reply, 20_000)).error).toMatchObject({ code: 'FORBIDDEN' });
  expect(await reloaded).toMatchObject({ problems: [] });
  expect(cluster.idp.calls).toBe(1);
});

it('is judged under the client ids that the check began with, so that a reload and another back change nothing', async () => {
  const one = await cluster.start(configurationWith());
  owner = 'orders-2';
  cluster.idp.reading = async () => {
    await delay(clock, 1_000);
    return ok({ owners: [owner] });
  };
  const reply = get(one);
  one.file = configurationWith({}, 'orders-2');
  const reloaded = one.broker.reload();
  await ended(Promise.all([reply, reloaded]));
  one.file = configurationWith();
  await ended(one.broker.reload());
  expect((await ended(get(one))).error).toMatchObject({ code: 'FORBIDDEN' });
});

it('must be the caller’s own for a report that a resource server refused what came of it', async () => {
  const one = await cluster.start(configurationWith());
  const { epoch, generation } = await ended(get(one));
  const report = { subjectToken: 'of-orders', epoch, generation };
  const foreign = one.ask({ verb: 'rejected', caller: 'billing' }, report);
  expect(await ended(foreign)).toMatchObject({ error: { code: 'FORBIDDEN' } });
  expect(cluster.idp.calls).toBe(1);
  expect(await ended(one.ask({ verb: 'rejected' }, report))).toMatchObject({ outcome: 'dropped' });
  expect(cluster.idp.calls).toBe(2);
});
