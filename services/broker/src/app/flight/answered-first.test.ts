import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { FakeCluster } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';

async function begin() {
  const clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(2));
  const one = await cluster.start();
  await clock.advance(100);
  const steps: string[] = [];
  one.store.wire = {
    toRedis: (command) => {
      steps.push(command);
    },
  };
  one.budgets.wire = one.store.wire;
  const acquire = cluster.locks.acquire.bind(cluster.locks);
  cluster.locks.acquire = async (...wanted) => {
    const reply = await acquire(...wanted);
    if (reply.kind !== 'acquired') return reply;
    const { lock } = reply;
    const release = (): ReturnType<typeof lock.release> => {
      steps.push('unlock');
      return lock.release();
    };
    return { kind: 'acquired', lock: { ...lock, release } };
  };
  const publish = one.bus.publish.bind(one.bus);
  one.bus.publish = (subject, payload) => {
    steps.push(subject.split('.')[2] ?? subject);
    return publish(subject, payload);
  };
  return { clock, cluster, one, steps };
}

it('has the answer wait for what decides it, and for nothing else', async () => {
  const { clock, one, steps } = await begin();
  await one.get();
  expect(steps).toEqual(['read', 'reserve', 'permit', 'commit', 'flight']);
  await clock.advance(0);
  expect(steps.slice(5).sort()).toEqual(['event', 'settle', 'unlock']);
});

it('tells near caches of a renewal before anybody else: it is made for them', async () => {
  const { clock, one, steps } = await begin();
  const { slot } = await one.get();
  await clock.advance(0);
  steps.length = 0;
  expect(await one.ask({ verb: 'admin', caller: 'ops', target: 'refresh' }, { slot })).toMatchObject({ refreshed: 1 });
  expect(steps.slice(steps.indexOf('commit'), steps.indexOf('flight') + 1)).toEqual(['commit', 'event', 'flight']);
});

it('has the lock free for the next where there is no token', async () => {
  const { clock, cluster, one, steps } = await begin();
  cluster.idp.answer = () => refused('IDP_UNAVAILABLE', 0);
  await one.get();
  expect(steps).toEqual(['read', 'reserve', 'permit', 'fail', 'flight', 'unlock']);
  await clock.advance(0);
  expect(steps.slice(6)).toEqual(['settle']);
});
