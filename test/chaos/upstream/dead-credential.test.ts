import { slotOf } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ANSWERED_WITHIN_MS,
  failureIn,
  startGovernedStack,
  type GovernedStack,
} from '../../integration/governed-stack.js';
import { tokenFor } from '../../integration/watched-provider.js';

const SLOTS = Array.from({ length: 40 }, (_, index) => `slot-${String(index)}`);
/** A client that is refused is not tried for half to all of this, and then of twice as long. */
const FIRST_PAUSE_MS = 5_000;
/** Redis reckons in whole milliseconds. */
const ROUNDING_MS = 2;
/** Of every token here. */
const LIFE_MS = 600_000;
/** Until near caches have dropped what was fetched with the old secret: without a word of it, three ticks of 200 ms. */
const GONE_WITHIN_MS = 600 + ANSWERED_WITHIN_MS;

const secrets = new Map([
  ['dead', 'the right one'],
  ['rotated', 'secret-of-rotated'],
]);
let governed: GovernedStack;
let redis: Redis;

beforeAll(async () => {
  governed = await startGovernedStack({
    answer: (arrival) => {
      const { tenant, secret } = arrival;
      const isKnown = (secrets.get(tenant) ?? secret) === secret;
      return isKnown ? tokenFor(arrival) : { status: 401, body: { error: 'invalid_client' } };
    },
    sources: {
      dead: { clientSecret: 'the wrong one' },
      // Another client at the same endpoint.
      healthy: {},
      rotated: {},
    },
  });
  redis = new Redis({ host: governed.stack.redis.host, port: governed.stack.redis.port });
});
afterAll(async () => {
  redis.disconnect();
  await governed.stop();
});

/** Undefined: a token. */
async function refusal(source: string, audience?: string): Promise<string | undefined> {
  return failureIn(await governed.ask(source, audience))?.code;
}

/** What all slots are told, through whichever replicas answer. */
async function told(): Promise<Set<string | undefined>> {
  return new Set(await Promise.all(SLOTS.map((audience) => refusal('dead', audience))));
}

it('K5: a client that is refused: one call for all slots and replicas in each pause, which grows; the right secret ends it at once', async () => {
  const { idp } = governed;
  expect(await refusal('dead', 'slot-0')).toBe('IDP_DENIED');
  expect((await governed.budgetOf('dead')).credentialPausedMs).toBeLessThanOrEqual(FIRST_PAUSE_MS);

  // Until the first pause is over, and one call has found out that nothing is better.
  const answers: (string | undefined)[] = [];
  await eventually(
    async () => {
      answers.push(...(await told()));
      return idp.of('dead').length > 1;
    },
    { what: 'the probe', withinMs: FIRST_PAUSE_MS + 5 * ANSWERED_WITHIN_MS, everyMs: 50 },
  );
  const [firstMs = Number.NaN, probedMs = Number.NaN] = idp.of('dead').map(({ atMs }) => atMs);
  expect(probedMs - firstMs).toBeGreaterThanOrEqual(FIRST_PAUSE_MS / 2 - ROUNDING_MS);
  await eventually(async () => (await governed.budgetOf('dead')).open === 0, { what: 'the probe to be settled' });
  answers.push(...(await told()));
  expect(new Set(answers)).toEqual(new Set(['IDP_DENIED']));
  // Of the second pause, which is twice as long.
  const leftMs = (await governed.budgetOf('dead')).credentialPausedMs;
  expect(idp.nowMs() + leftMs).toBeGreaterThanOrEqual(probedMs + FIRST_PAUSE_MS - ROUNDING_MS);
  expect(leftMs).toBeLessThanOrEqual(2 * FIRST_PAUSE_MS);
  expect(idp.of('dead')).toHaveLength(2);
  expect(await refusal('healthy')).toBeUndefined();

  await governed.change('dead', { clientSecret: 'the right one' });
  const changedAtMs = governed.idp.nowMs();
  expect(await told()).toEqual(new Set([undefined]));
  expect(governed.idp.nowMs() - changedAtMs).toBeLessThan(ANSWERED_WITHIN_MS);
  expect(idp.of('dead')).toHaveLength(2 + SLOTS.length);
});

it('K5: a rotated secret: a new token at once by the new secret; the old entries are gone, their keys with their lives', async () => {
  const { idp, stack } = governed;
  const client = await stack.client('orders', { refetchOnRevoke: false });
  const operator = await stack.operator();
  const handle = client.source('rotated');
  const old = await handle.get();
  expect(await refusal('rotated', 'left-alone')).toBeUndefined();
  const listed = async (): Promise<readonly string[]> =>
    (await operator.list({ source: 'rotated' })).slots.map(({ slot }) => slot);
  const [asked, leftAlone] = [slotOf('rotated', {}), slotOf('rotated', { audience: 'left-alone' })];
  expect(new Set(await listed())).toEqual(new Set([asked, leftAlone]));

  secrets.set('rotated', 'a new one');
  await governed.change('rotated', { clientSecret: 'a new one' });
  const changedAtMs = idp.nowMs();
  const reply = await governed.ask('rotated');
  expect(idp.nowMs() - changedAtMs).toBeLessThan(ANSWERED_WITHIN_MS);
  expect('generation' in reply ? reply.generation : 0).toBeGreaterThan(old.generation);
  expect(idp.of('rotated').map(({ secret }) => secret)).toEqual([
    'secret-of-rotated',
    'secret-of-rotated',
    'a new one',
  ]);

  const isDropped = (): boolean => handle.current?.accessToken !== old.accessToken;
  await eventually(isDropped, { what: 'the near cache to drop the old token', withinMs: GONE_WITHIN_MS });
  // What nobody asks for again counts no more, and Redis forgets it when its token would have ended.
  expect(await listed()).toEqual([asked]);
  const keys = await redis.keys(`*:record:${leftAlone}`);
  const livesMs = await Promise.all(keys.map((key) => redis.pttl(key)));
  expect(livesMs.filter((lifeMs) => lifeMs < 0 || lifeMs > LIFE_MS)).toEqual([]);
});
