import { ok, Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { issued, refused } from '../fakes/fake-provider.js';

let clock: VirtualClock;
let cluster: FakeCluster;
let one: Replica;
let two: Replica;

function get(audience: string, replica = one): Promise<Reply> {
  return replica.ask({ caller: 'ops' }, { audience });
}

async function replace(selector: object = { source: 'payments-api' }, more: object = {}): Promise<Reply> {
  const reply = one.ask(
    { verb: 'admin', caller: 'ops', target: 'revoke' },
    { selector, graceful: true, timeoutMs: 20_000, reason: 'a test', ...more },
  );
  await clock.advance(30_000);
  return reply;
}

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(6));
  [one, two] = [await cluster.start(), await cluster.start()];
  await clock.advance(3 * TICK_MS);
});

it('leaves no moment without a token: callers have the old one until the new one is there, and then the new one', async () => {
  await get('a');
  await get('b');
  cluster.idp.tookMs = 2_000;
  const reply = one.ask(
    { verb: 'admin', caller: 'ops', target: 'revoke' },
    { selector: { source: 'payments-api' }, graceful: true, reason: 'a test' },
  );
  await clock.advance(1_000);
  const before = [await get('a'), await get('b', two)];
  expect(before).toMatchObject([{ accessToken: 'token-1' }, { accessToken: 'token-2' }]);
  await clock.advance(2_000);
  expect(await reply).toMatchObject({
    complete: true,
    slots: 2,
    graceful: { replaced: 2, failed: 0, failures: [] },
    brokers: { expected: 2, acked: 2 },
  });
  const after = await Promise.all([get('a'), get('b'), get('a', two), get('b', two)]);
  expect(new Set(after.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-3', 'token-4']));
  expect(cluster.idp.calls).toBe(4);
});

it('ends nothing of a slot whose successor cannot be had, and says so', async () => {
  const [a, b] = [await get('a'), await get('b')];
  // What a fetch leaves for after its answer.
  await clock.advance(0);
  cluster.idp.answer = (_, { audience }) => (audience === 'b' ? refused('IDP_UNAVAILABLE', 9_000) : undefined);
  const reply = await replace();
  expect(reply).toMatchObject({ complete: true, slots: 1, graceful: { replaced: 1, failed: 1 } });
  expect(reply['graceful']).toMatchObject({
    failures: [{ source: 'payments-api', slot: b.slot, code: 'IDP_UNAVAILABLE' }],
  });
  expect(await get('a')).not.toMatchObject({ accessToken: a.accessToken });
  expect(await get('b')).toMatchObject({ accessToken: b.accessToken });
});

it('ends nothing where the identity provider gives the same token again', async () => {
  const { accessToken = '', slot } = await get('a');
  cluster.idp.answer = () => issued(accessToken, 600_000);
  expect(await replace({ slot })).toMatchObject({
    id: '',
    slots: 0,
    graceful: { replaced: 0, failed: 1, failures: [{ code: 'REVOKED' }] },
  });
});

it('cannot be had for tokens on behalf of somebody: nobody keeps what they were fetched with', async () => {
  const type = 'urn:ietf:params:oauth:token-type:access_token';
  const source = sourceOf({
    grant: { kind: 'token_exchange' },
    subjectToken: { type, actorType: type, check: { kind: 'introspection' }, ownerClaim: 'client_id' },
  });
  cluster = new FakeCluster(clock, new SeededRandom(6));
  cluster.idp.reading = () => Promise.resolve(ok({ owners: ['orders'] }));
  one = await cluster.start(configurationOf({ sources: new Map([['payments-api', source]]) }));
  await one.get({ subjectToken: 'of-orders' });
  expect(await replace()).toMatchObject({ slots: 0, graceful: { failed: 1, failures: [{ code: 'BAD_REQUEST' }] } });
  expect(cluster.idp.calls).toBe(1);
});

it('takes the old tokens back at their identity provider, and not the new ones', async () => {
  cluster.idp.answer = (call) =>
    issued(`token-${String(call)}`, 600_000, { revocationHandle: new Redacted(`lease-${String(call)}`) });
  await get('a');
  expect(await replace(undefined, { atProvider: true })).toMatchObject({ provider: { asked: 1, revoked: 1 } });
  expect([cluster.idp.takenBack, cluster.idp.handles]).toEqual([['token-1'], ['lease-1']]);
});

it('keeps what has no successor in time', async () => {
  const old = await get('a');
  cluster.idp.tookMs = 9_000;
  const reply = one.ask(
    { verb: 'admin', caller: 'ops', target: 'revoke' },
    { selector: { source: 'payments-api' }, graceful: true, timeoutMs: 1_000, reason: 'a test' },
  );
  await clock.advance(2_000);
  expect(await reply).toMatchObject({ slots: 0, graceful: { failed: 1, failures: [{ code: 'DEADLINE' }] } });
  expect(await get('a')).toMatchObject({ accessToken: old.accessToken });
});

it('is for a slot or a source', async () => {
  expect((await replace({ all: true })).error).toMatchObject({ code: 'BAD_REQUEST' });
});
