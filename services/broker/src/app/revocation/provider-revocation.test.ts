import { Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { configurationOf, FakeCluster } from '../fakes/fake-cluster.js';
import { issued } from '../fakes/fake-provider.js';

it('reports a token that this replica cannot open as one that was not taken back', async () => {
  const clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(8));
  const key = (id: string, fill: number) => ({ id, secret: new Redacted(new Uint8Array(32).fill(fill)) });
  const one = await cluster.start();
  const two = await cluster.start(configurationOf({ encryption: { keys: [key('k2', 2), key('k1', 1)] } }));
  await two.get();
  const request = { verb: 'admin', caller: 'ops', target: 'revoke' } as const;
  const order = { selector: { source: 'payments-api' }, reason: 'leaked', atProvider: true };
  const revoked = one.ask(request, order);
  await clock.advance(10_000);
  expect(await revoked).toMatchObject({
    complete: true,
    provider: { asked: 1, revoked: 0, unsupported: 0, failed: 1 },
  });
  expect(cluster.idp.takenBack).toEqual([]);
});

it('takes a token back by the handle that it was issued with, which no caller and no other replica has seen', async () => {
  const clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(8));
  const handle = 'canary-of-a-lease';
  cluster.idp.answer = () => issued('token', 600_000, { revocationHandle: new Redacted(handle) });
  const [one, two] = [await cluster.start(), await cluster.start()];
  const replies = [await one.get(), await two.get()];
  expect(replies).toMatchObject([{ accessToken: 'token' }, { accessToken: 'token' }]);
  // The other one has it from the sealed record alone.
  const order = { selector: { source: 'payments-api' }, reason: 'leaked', atProvider: true };
  const revoked = two.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, order);
  await clock.advance(10_000);
  replies.push(await revoked);
  expect(replies[2]).toMatchObject({ provider: { asked: 1, revoked: 1 } });
  expect([cluster.idp.takenBack, cluster.idp.handles]).toEqual([['token'], [handle]]);
  expect(JSON.stringify(replies)).not.toContain(handle);
});
