import type { SourceConfiguration } from '@token-broker/configuration';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, staticSourceOf, type Replica } from '../fakes/fake-cluster.js';
import { away } from '../fakes/fake-store.js';
import { issued } from '../fakes/fake-provider.js';

let clock: VirtualClock;
let cluster: FakeCluster;
let one: Replica;

const configuration = configurationOf({
  sources: new Map<string, SourceConfiguration>([
    ['payments-api', staticSourceOf('payments-api', 'app')],
    ['other', sourceOf({ name: 'other' })],
  ]),
});

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(1));
  one = await cluster.start(configuration);
  cluster.idp.answer = (call) => issued(`value-${String(call)}`, 600_000, { tokenType: 'password', username: 'app' });
});

async function ended<T>(work: Promise<T>, ms = 1_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

describe('a source whose provider calls nobody, and needs no refresher', () => {
  it('hands out the credential with its type and its user name, on every replica', async () => {
    const two = await cluster.start(configuration);
    const expected = { accessToken: 'value-1', tokenType: 'password', username: 'app' };
    expect(await ended(one.get())).toMatchObject(expected);
    // From the sealed record of the first.
    expect(await ended(two.get())).toMatchObject(expected);
    expect(cluster.idp.calls).toBe(1);
  });

  it('asks no budget, and counts no call', async () => {
    one.budgets.wire = away('permit', 'settle');
    expect(await ended(one.get())).toMatchObject({ accessToken: 'value-1' });
    expect(one.metrics.count('idpCalled')).toBe(0);
  });

  it('is never renewed ahead (L2), in spite of those who use it, and asked again after its life', async () => {
    await ended(one.get());
    for (let minute = 0; minute < 9; minute++) {
      await clock.advance(60_000);
      expect((await one.get()).accessToken).toBe('value-1');
    }
    expect(cluster.idp.calls).toBe(1);
    await clock.advance(60_000);
    expect(await ended(one.get())).toMatchObject({ accessToken: 'value-2' });
  });

  it('refuses a request for what it has no notion of, where another source takes it', async () => {
    for (const body of [{ scope: 'read' }, { audience: 'a' }, { resource: 'https://a.example' }])
      expect((await one.ask({ caller: 'ops' }, body)).error).toMatchObject({
        code: 'BAD_REQUEST',
        message: 'the source "payments-api" takes no scope, audience or resource',
      });
    expect(await ended(one.ask({ caller: 'ops', target: 'other' }, { scope: 'read' }))).toMatchObject({
      accessToken: 'value-1',
    });
  });
});
