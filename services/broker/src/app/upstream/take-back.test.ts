import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { CAPABILITIES } from '../fakes/fake-provider.js';
import type { Provider, ProviderFailure } from '../ports/provider.js';
import { takeBack } from './take-back.js';

const TOKEN = { accessToken: new Redacted('token'), revocationHandle: new Redacted('lease') };
const random = { uniform: () => 0, bytes: (count: number) => new Uint8Array(count) };

function failing(code: ProviderFailure['code'], retryAfterMs?: number): Result<never, ProviderFailure> {
  return err({ code, message: '', detail: '', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

/** A provider that answers with these, one after the other, and the times at which it was asked. */
function providerOf(clock: VirtualClock, answers: Awaited<ReturnType<Provider['revoke']>>[]) {
  const askedAtMs: number[] = [];
  const given: (string | undefined)[] = [];
  const provider: Provider = {
    capabilities: CAPABILITIES,
    fetch: () => Promise.reject(new Error('not asked for')),
    readSubject: () => Promise.resolve(ok(undefined)),
    close: () => Promise.resolve(),
    revoke: (accessToken, revocationHandle) => {
      given.push(accessToken.reveal(), revocationHandle?.reveal());
      askedAtMs.push(clock.elapsedMs());
      return Promise.resolve(answers.shift() ?? ok('revoked'));
    },
  };
  return { provider, askedAtMs, given };
}

it('takes a token back with one request where the provider has a way to', async () => {
  const clock = new VirtualClock();
  const { provider, given } = providerOf(clock, []);
  expect(await takeBack({ clock, random }, provider, TOKEN)).toBe('revoked');
  expect(given).toEqual(['token', 'lease']);
});

it('says so where it has none', async () => {
  const clock = new VirtualClock();
  expect(await takeBack({ clock, random }, providerOf(clock, [ok('unsupported')]).provider, TOKEN)).toBe('unsupported');
});

it('tries again after a 503, no sooner than it was asked to', async () => {
  const clock = new VirtualClock();
  const { provider, askedAtMs } = providerOf(clock, [failing('IDP_UNAVAILABLE', 3_000), failing('IDP_TIMEOUT')]);
  const taken = takeBack({ clock, random }, provider, TOKEN);
  await clock.advance(60_000);
  expect(await taken).toBe('revoked');
  const [first = 0, second = 0, third = 0] = askedAtMs;
  expect(second - first).toBe(3_000);
  expect(third - second).toBeGreaterThanOrEqual(500);
});

it.each([
  ['it is refused', [failing('IDP_DENIED')], 1],
  ['the outage lasts', Array.from({ length: 10 }, () => failing('IDP_UNAVAILABLE')), 4],
  ['the pause that it is asked for is longer than anybody waits', [failing('QUOTA_EXHAUSTED', 3_600_000)], 1],
])('gives up when %s', async (_, answers, requests) => {
  const clock = new VirtualClock();
  const { provider, askedAtMs } = providerOf(clock, answers);
  const taken = takeBack({ clock, random }, provider, TOKEN);
  await clock.advance(120_000);
  expect(await taken).toBe('failed');
  expect(askedAtMs).toHaveLength(requests);
});
