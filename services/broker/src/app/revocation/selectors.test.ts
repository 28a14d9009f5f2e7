import { createHash } from 'node:crypto';
import type { SourceConfiguration } from '@token-broker/configuration';
import { ok, Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';

const TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const LEASE_MS = 3 * TICK_MS;

let clock: VirtualClock;
let cluster: FakeCluster;

function sources(): Map<string, SourceConfiguration> {
  const exchange = {
    grant: { kind: 'token_exchange' },
    subjectToken: { type: TYPE, actorType: TYPE, check: { kind: 'introspection' }, ownerClaim: 'client_id' },
  } as const;
  const all = [
    sourceOf(),
    sourceOf({ name: 'orders-api' }),
    sourceOf({ name: 'invoices', ...exchange }),
    sourceOf({ name: 'statements', ...exchange }),
  ];
  return new Map(all.map((source) => [source.name, source]));
}

function configuration() {
  const plain = { scopes: 'any', audiences: 'any' } as const;
  const grant = (...names: string[]) => new Map(names.map((name) => [name, plain]));
  return configurationOf({
    sources: sources(),
    callers: new Map([
      ...configurationOf().callers,
      [
        'orders',
        { name: 'orders', grants: grant('payments-api', 'invoices', 'statements'), admin: false, clientIds: ['web'] },
      ],
      [
        'billing',
        { name: 'billing', grants: grant('payments-api', 'orders-api', 'gone-api'), admin: false, clientIds: [] },
      ],
      ['nobody', { name: 'nobody', grants: grant(), admin: false, clientIds: [] }],
    ]),
  });
}

function first(): Replica {
  const [replica] = cluster.replicas;
  if (replica === undefined) throw new Error('a cluster without replicas');
  return replica;
}

function get(source: string, body: object = {}, caller = 'ops'): Promise<Reply> {
  return first().ask({ target: source, caller }, body);
}

/** On behalf of somebody: the token names its subject. */
function getFor(subjectToken: string, source = 'invoices', more: object = {}): Promise<Reply> {
  return get(source, { subjectToken, ...more }, 'orders');
}

function revoke(selector: object, more: object = {}): Promise<Reply> {
  return first().ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, { selector, reason: 'a test', ...more });
}

/** Sources of the tokens that still count. */
async function left(): Promise<string[]> {
  const reply = await first().ask({ verb: 'admin', caller: 'ops', target: 'list' }, {});
  return (reply['slots'] as { source: string }[]).map(({ source }) => source).sort();
}

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(5));
  cluster.idp.reading = (token) =>
    Promise.resolve(
      ok({ owners: ['web'], ...(token.startsWith('of-') ? { name: token.slice(3).split('.')[0] ?? '' } : {}) }),
    );
  await cluster.start(configuration());
  await cluster.start(configuration());
  await clock.advance(LEASE_MS);
  // Of their start.
  first().audit.entries.length = 0;
});

describe('by provider', () => {
  it('ends the tokens of all its sources', async () => {
    for (const source of ['payments-api', 'orders-api']) await get(source);
    expect(await revoke({ provider: 'oauth2' })).toMatchObject({
      complete: true,
      slots: 2,
      sources: [
        { name: 'orders-api', slots: 1 },
        { name: 'payments-api', slots: 1 },
      ],
    });
    expect(await left()).toEqual([]);
  });

  it('is refused where no source has it', async () => {
    expect((await revoke({ provider: 'saml' })).error).toMatchObject({ code: 'BAD_REQUEST' });
  });
});

describe('by caller', () => {
  it('ends the tokens of every source that it may use, for all who use them, and of no other', async () => {
    for (const source of ['payments-api', 'orders-api']) await get(source);
    await getFor('of-jane');
    expect(await revoke({ caller: 'billing' }, { dryRun: true })).toMatchObject({
      slots: 2,
      sources: [
        { name: 'orders-api', slots: 1 },
        { name: 'payments-api', slots: 1 },
      ],
    });
    expect(await left()).toHaveLength(3);
    expect(await revoke({ caller: 'billing' })).toMatchObject({ complete: true, brokers: { acked: 2 }, slots: 2 });
    expect(await left()).toEqual(['invoices']);
  });

  it('ends everything of a caller of every source', async () => {
    for (const source of ['payments-api', 'orders-api']) await get(source);
    expect(await revoke({ caller: 'ops' })).toMatchObject({ complete: true, slots: 2 });
    expect(await left()).toEqual([]);
  });

  it('is refused for one that nobody knows, and ends nothing of one that may use nothing', async () => {
    await get('payments-api');
    expect((await revoke({ caller: 'stranger' })).error).toMatchObject({ code: 'BAD_REQUEST' });
    expect(await revoke({ caller: 'nobody' })).toMatchObject({ id: '', slots: 0, complete: true });
    expect(await left()).toEqual(['payments-api']);
  });
});

describe('by the digest of a token', () => {
  const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');

  it('ends the slots that have it, and no others', async () => {
    const [leaked] = [await get('payments-api'), await get('orders-api')];
    const selector = { tokenSha256: digestOf(leaked.accessToken ?? '') };
    expect(await revoke(selector, { dryRun: true })).toMatchObject({ slots: 1, unjudged: 0 });
    expect(await revoke({ ...selector, source: 'orders-api' })).toMatchObject({ slots: 0, id: '' });
    expect(await revoke(selector)).toMatchObject({ slots: 1, complete: true });
    expect(await left()).toEqual(['orders-api']);
    const { audit, log } = first();
    expect(JSON.stringify([log.lines, audit.entries])).not.toMatch(new RegExp(`${selector.tokenSha256}|token-1`));
    // What was looked for in the other source was not there.
    expect(audit.entries).toEqual([
      {
        by: 'ops',
        event: 'revocation.ended',
        selector: 'token',
        source: 'orders-api',
        reason: 'a test',
        result: 'done',
        facts: { targets: 0 },
      },
      expect.objectContaining({
        event: 'revocation.ordered',
        selector: 'token',
        slot: leaked.slot,
        facts: { targets: 1, names: `slot:${leaked.slot ?? ''}` },
      }),
      expect.objectContaining({ event: 'revocation.ended', slot: leaked.slot, result: 'done' }),
    ]);
  });

  it('takes the token back at its identity provider', async () => {
    const { accessToken = '' } = await get('payments-api');
    const reply = revoke({ tokenSha256: digestOf(accessToken) }, { atProvider: true });
    await clock.advance(1_000);
    expect(await reply).toMatchObject({ provider: { asked: 1, revoked: 1 } });
    expect(cluster.idp.takenBack).toEqual([accessToken]);
  });

  it('says how many it could not look into', async () => {
    const key = (id: string, fill: number) => ({ id, secret: new Redacted(new Uint8Array(32).fill(fill)) });
    const ahead = await cluster.start({ ...configuration(), encryption: { keys: [key('k2', 2), key('k1', 1)] } });
    const { accessToken = '' } = await ahead.ask({ caller: 'ops' });
    expect(await revoke({ tokenSha256: digestOf(accessToken) }, { dryRun: true })).toMatchObject({
      slots: 0,
      unjudged: 1,
    });
  });

  it('is refused for a source that is not there', async () => {
    const reply = await revoke({ tokenSha256: digestOf('x'), source: 'gone-api' });
    expect(reply.error).toMatchObject({ code: 'UNKNOWN_SOURCE' });
  });
});

describe('by subject', () => {
  it('ends all that was fetched on behalf of it, whatever token it came with, and nothing of others', async () => {
    await getFor('of-jane.1');
    await getFor('of-jane.2', 'statements');
    await getFor('of-joe.1');
    await getFor('of-agent.1', 'invoices', { actorToken: 'of-jane.3' });
    await get('payments-api');
    expect(await revoke({ subject: 'jane', source: 'statements' }, { dryRun: true })).toMatchObject({ slots: 1 });
    expect(await revoke({ subject: 'jane' })).toMatchObject({ complete: true, slots: 3, inFlight: 0, unjudged: 0 });
    expect(await left()).toEqual(['invoices', 'payments-api']);
    const { audit, log } = first();
    expect(JSON.stringify([log.lines, audit.entries])).not.toContain('jane');
    const about = { by: 'ops', selector: 'subject', revocation: expect.any(String) as unknown };
    expect(audit.entries).toMatchObject([
      { ...about, event: 'revocation.ordered', reason: 'a test', facts: { targets: 3 } },
      { ...about, event: 'revocation.ended', result: 'done', facts: { targets: 3, brokers: 2, brokersConfirmed: 2 } },
    ]);
  });

  it('ends what is in the air for anybody who may be meant, and keeps what is in the air for nobody', async () => {
    cluster.idp.tookMs = 1_000;
    const flying = [getFor('of-jane.1'), getFor('of-joe.1'), get('payments-api')];
    await clock.advance(500);
    const revoked = revoke({ subject: 'jane' });
    await clock.advance(100);
    expect(await revoked).toMatchObject({ slots: 2, inFlight: 2 });
    await clock.advance(10_000);
    const replies = await Promise.all(flying);
    // Those of subjects were fetched again; the other was not touched.
    expect(replies.map(({ accessToken }) => accessToken)).not.toContain(undefined);
    expect(cluster.idp.calls).toBe(5);
  });

  it('says how many of those that take subjects name nobody', async () => {
    await getFor('nameless');
    await get('payments-api');
    expect(await revoke({ subject: 'jane' })).toMatchObject({ slots: 0, unjudged: 1 });
    expect(await left()).toEqual(['invoices', 'payments-api']);
  });

  it('is one revocation of hundreds of slots: one id, and each message confirmed', async () => {
    const tokens = Array.from({ length: 620 }, (_, i) => `of-jane.${String(i)}`);
    await Promise.all(tokens.map((token) => getFor(token)));
    const one = first();
    await one.ask({ verb: 'sync', target: '' }, { instance: 'near' });
    await one.ask({ verb: 'sync', target: '' }, { instance: 'far' });
    const events: { id: string; changes: unknown[] }[] = [];
    one.bus.subscribe('token-broker.v1.invalidation.*', (payload) => {
      const event = JSON.parse(Buffer.from(payload).toString()) as { id: string; changes: unknown[] };
      events.push(event);
      // The one that is far misses the second message.
      for (const instance of events.length === 1 ? ['near', 'far'] : ['near'])
        one.bus.publish('token-broker.v1.ack.orders', Buffer.from(JSON.stringify({ v: 1, id: event.id, instance })));
    });
    const revoked = revoke({ subject: 'jane' }, { wait: true, timeoutMs: 500 });
    await clock.advance(2_000);
    const reply = await revoked;
    expect(reply).toMatchObject({ slots: 620, complete: true, broadcast: true, brokers: { expected: 2, acked: 2 } });
    expect(reply['receipts']).toMatchObject({
      counts: { confirmed: 1, stragglers: 1 },
      stragglers: [{ instance: 'far' }],
    });
    expect(events.map(({ id, changes }) => [id, changes.length])).toEqual([
      [`${String(reply['id'])}.1`, 500],
      [`${String(reply['id'])}.2`, 120],
    ]);
    const [ordered, ended, ...more] = one.audit.entries;
    expect(more).toEqual([]);
    expect([ordered?.event, ordered?.facts?.['targets']]).toEqual(['revocation.ordered', 620]);
    const names = String(ordered?.facts?.['names']).split(' ');
    expect(names).toHaveLength(35);
    expect(names.every((name) => /^slot:[\w-]{22}$/.test(name))).toBe(true);
    expect(ended).toMatchObject({
      event: 'revocation.ended',
      revocation: reply['id'],
      facts: { targets: 620, nearCaches: 2, nearCachesConfirmed: 1 },
    });
    expect(await left()).toEqual([]);
    const second = cluster.replicas[1];
    const again = second?.ask({ target: 'invoices', caller: 'orders' }, { subjectToken: 'of-jane.7' });
    await clock.advance(100);
    expect((await again)?.accessToken).toBe('token-621');
  });
});

describe('by the time of issue', () => {
  it('ends what was asked for before then, in every source or in one, and nothing later', async () => {
    await get('payments-api');
    await get('orders-api');
    await clock.advance(1_000);
    const selector = { issuedBeforeMs: cluster.redis.nowMs };
    await clock.advance(1_000);
    await getFor('of-jane');
    expect(await revoke(selector, { dryRun: true })).toMatchObject({ slots: 2 });
    expect(await revoke({ ...selector, source: 'orders-api' })).toMatchObject({ complete: true, slots: 1 });
    expect(await left()).toEqual(['invoices', 'payments-api']);
    expect(await revoke(selector)).toMatchObject({ complete: true, slots: 1 });
    expect(await left()).toEqual(['invoices']);
    expect(await get('payments-api')).toMatchObject({ accessToken: 'token-4' });
  });

  it('discards what was asked for before then and comes later', async () => {
    cluster.idp.tookMs = 1_000;
    const flying = get('payments-api');
    await clock.advance(500);
    const revoked = revoke({ issuedBeforeMs: cluster.redis.nowMs });
    await clock.advance(100);
    expect(await revoked).toMatchObject({ complete: true, slots: 0 });
    await clock.advance(10_000);
    expect(await flying).toMatchObject({ accessToken: 'token-2' });
  });

  it('is refused for a time that has not come, and never forbids what is fetched later', async () => {
    expect((await revoke({ issuedBeforeMs: cluster.redis.nowMs + 6_000 })).error).toMatchObject({
      code: 'BAD_REQUEST',
    });
    // Within what clocks may differ by.
    expect(await revoke({ issuedBeforeMs: cluster.redis.nowMs + 4_000 })).toMatchObject({ complete: true });
    await get('payments-api');
    expect(await left()).toEqual(['payments-api']);
  });
});
