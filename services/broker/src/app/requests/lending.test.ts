import { Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { FakeCluster, sourceOf, configurationOf } from '../fakes/fake-cluster.js';
import { issued, refused } from '../fakes/fake-provider.js';
import type { Lender } from '../ports/provider.js';

let clock: VirtualClock;
let cluster: FakeCluster;
let lend: Lender;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(1));
  await cluster.start(configurationOf({ sources: new Map([['payments-api', sourceOf()]]) }));
  if (cluster.lend === undefined) throw new Error('no provider was made');
  lend = cluster.lend;
});

it('lends the credential that callers get, fetched once, with the life that it has left', async () => {
  cluster.idp.answer = () => issued('signing', 600_000, { tokenType: 'aws-credentials', username: 'signer' });
  const first = lend('payments-api');
  await clock.advance(1_000);
  expect(await first).toMatchObject({
    ok: true,
    value: { tokenType: 'aws-credentials', username: 'signer' },
  });
  await clock.advance(60_000);
  const again = await lend('payments-api');
  if (!again.ok) throw new Error(again.error.message);
  expect(again.value.accessToken).toEqual(new Redacted('signing'));
  expect(again.value.accessToken.reveal()).toBe('signing');
  expect(again.value.remainingMs).toBeLessThanOrEqual(600_000 - 60_000);
  expect(cluster.idp.calls).toBe(1);
});

it('says of which source there is none, and passes on why and for how long', async () => {
  cluster.idp.answer = () => refused('QUOTA_EXHAUSTED', 30_000);
  const end = lend('payments-api');
  await clock.advance(1_000);
  const failed = await end;
  expect(failed).toMatchObject({ ok: false, error: { code: 'QUOTA_EXHAUSTED' } });
  if (failed.ok) return;
  expect(failed.error.message).toContain('the credential of the source "payments-api" is not to be had');
  expect(failed.error.retryAfterMs).toBeGreaterThanOrEqual(29_000);
});

it('lends nothing of a source that is not there', async () => {
  expect(await lend('gone')).toMatchObject({ ok: false, error: { code: 'IDP_UNAVAILABLE' } });
});
