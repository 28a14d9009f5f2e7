import { createSubjects } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { readTraceContext, type TraceContext } from '../../domain/trace-context.js';
import { configurationOf, FakeCluster, sourceOf, TICK_MS, type Replica } from '../fakes/fake-cluster.js';
import { refused } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';
import { RecordedTracing } from '../fakes/recorded-tracing.js';

const parentOf = (digit: string, flags = '01'): TraceContext => {
  const context = readTraceContext(`00-${digit.repeat(32)}-${digit.repeat(16)}-${flags}`);
  if (context === undefined) throw new Error('not well formed');
  return context;
};

let clock: VirtualClock;
let cluster: FakeCluster;
let tracing: RecordedTracing;
let one: Replica;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(5));
  tracing = new RecordedTracing();
  cluster.tracing = tracing;
  one = await cluster.start();
  await clock.advance(3 * TICK_MS);
});

async function ended<T>(work: Promise<T>, ms = 60_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

function revoke(body: object, trace?: TraceContext): ReturnType<Replica['ask']> {
  const request = { verb: 'admin', caller: 'ops', target: 'revoke', trace } as const;
  return ended(one.ask(request, { reason: 'a test', ...body }));
}

describe('a get that needs a fetch', () => {
  it('is in the trace of its caller, with the flight below it, and the call of the identity provider below that', async () => {
    const { generation } = await ended(one.ask({ trace: parentOf('a') }));
    const [get, flight, call] = tracing.spans;
    expect(tracing.spans.map(({ name, ended: how }) => [name, how])).toEqual([
      ['get', 'ok'],
      ['flight', 'ok'],
      ['idp call', 'ok'],
    ]);
    expect(get?.parent).toBe('a'.repeat(16));
    expect(flight?.parent).toBe(get?.context.spanId);
    expect(call?.parent).toBe(flight?.context.spanId);
    expect(new Set(tracing.spans.map(({ context }) => context.traceId))).toEqual(new Set(['a'.repeat(32)]));
    expect(get?.facts).toMatchObject({ source: 'payments-api', caller: 'orders', layer: 'idp', generation });
    expect(flight?.facts).toMatchObject({ source: 'payments-api', reason: 'miss', layer: 'flight', generation });
    expect(flight?.events).toMatchObject([
      { name: 'read', facts: { outcome: 'miss' } },
      { name: 'lock', facts: { outcome: 'acquired' } },
      { name: 'claim', facts: { outcome: 'go' } },
      { name: 'commit', facts: { outcome: 'ok', generation } },
    ]);
    expect(call?.facts).toEqual({ source: 'payments-api', provider: 'oauth2', reason: 'miss', life_ms: 600_000 });
  });

  it('links to the flight that another has begun, where it joins that', async () => {
    cluster.idp.tookMs = 100;
    await ended(Promise.all([one.ask({ trace: parentOf('a') }), one.ask({ trace: parentOf('b') }), one.get()]));
    const [flight, ...others] = tracing.of('flight');
    const [first, joiner, untraced] = tracing.of('get');
    expect(others).toEqual([]);
    expect(flight?.parent).toBe(first?.context.spanId);
    expect(first?.links).toEqual([]);
    expect(joiner).toMatchObject({
      parent: 'b'.repeat(16),
      links: [flight?.context.spanId],
      facts: { layer: 'flight' },
    });
    expect(untraced).toMatchObject({ parent: undefined, links: [flight?.context.spanId] });
  });

  it('shows a wait for another replica, whose flight is another', async () => {
    const two = await cluster.start();
    cluster.idp.tookMs = 200;
    const first = one.get();
    await clock.advance(10);
    const second = two.get();
    await ended(Promise.all([first, second]));
    const [, waiting] = tracing.of('flight');
    expect(waiting?.events.map(({ name }) => name)).toContain('wait for another replica');
    expect(waiting).toMatchObject({ ended: 'ok', facts: { layer: 'redis' } });
    expect(tracing.of('idp call')).toHaveLength(1);
  });

  it('ends with the code of a failure, and says no more of it', async () => {
    cluster.idp.answer = () => refused('IDP_DENIED', 5_000, { detail: 'canary-detail', message: 'canary-message' });
    await ended(one.ask({ trace: parentOf('a') }));
    expect(tracing.spans.map(({ name, ended: how }) => [name, how])).toEqual([
      ['get', 'IDP_DENIED'],
      ['flight', 'IDP_DENIED'],
      ['idp call', 'IDP_DENIED'],
    ]);
    expect(JSON.stringify(tracing.spans)).not.toContain('canary');
  });

  it('outlives a caller whose deadline is over', async () => {
    cluster.idp.tookMs = 2_000;
    const hasty = one.ask({ trace: parentOf('a') }, { deadlineMs: 500 });
    await clock.advance(500);
    expect((await hasty).error?.code).toBe('DEADLINE');
    expect(tracing.spans.map(({ name, ended: how }) => [name, how])).toEqual([
      ['get', 'DEADLINE'],
      ['flight', undefined],
      ['idp call', undefined],
    ]);
    await clock.advance(5_000);
    expect(tracing.of('flight')[0]?.ended).toBe('ok');
  });

  it('shows a fetch without Redis as its own', async () => {
    const sources = new Map([['payments-api', sourceOf({ withoutRedis: 'fetch' })]]);
    one = await cluster.start(configurationOf({ sources }));
    await clock.advance(3 * TICK_MS);
    tracing.spans.length = 0;
    one.store.wire = away('read', 'reserve', 'lease');
    await clock.advance(4 * TICK_MS);
    expect(await ended(one.ask({ trace: parentOf('a') }))).toMatchObject({ verified: false });
    const [get] = tracing.of('get');
    expect(get).toMatchObject({ ended: 'ok', facts: { layer: 'flight', verified: false } });
    expect(tracing.of('idp call')).toMatchObject([{ parent: get?.context.spanId, ended: 'ok' }]);
  });
});

describe('a get that is answered at once', () => {
  beforeEach(async () => {
    await ended(one.get());
    tracing.spans.length = 0;
  });

  it('is shown where its caller has the trace recorded', async () => {
    await one.ask({ trace: parentOf('a') });
    expect(tracing.spans).toMatchObject([
      { name: 'get', parent: 'a'.repeat(16), ended: 'ok', facts: { layer: 'memory', caller: 'orders' } },
    ]);
  });

  it('is not shown otherwise', async () => {
    await one.get();
    await one.ask({ trace: parentOf('a', '00') });
    expect(tracing.spans).toEqual([]);
  });

  it('nobody looks for a trace of, where nothing is traced', async () => {
    cluster.tracing = { isOn: false, start: tracing.start.bind(tracing) };
    const other = await cluster.start();
    await ended(other.get());
    let looks = 0;
    const handled = other.handler?.({
      ...{ verb: 'get', caller: 'orders', target: 'payments-api', body: new Uint8Array() },
      subject: createSubjects().get('orders', 'payments-api'),
      get trace() {
        looks++;
        return parentOf('a');
      },
    });
    expect(handled).toBeInstanceOf(Uint8Array);
    expect(looks).toBe(0);
  });

  it('is shown with its code where it is refused, and never with a name that is no source', async () => {
    await one.ask({ caller: 'nobody', trace: parentOf('a') });
    await one.ask({ caller: 'ops', target: 'canary-token', trace: parentOf('a') });
    await one.ask({ caller: 'ops', target: 'canary-token', trace: parentOf('a') }, { misspelt: 1 });
    expect(tracing.spans.map(({ ended: how, facts }) => [how, facts['source']])).toEqual([
      ['FORBIDDEN', 'payments-api'],
      ['UNKNOWN_SOURCE', undefined],
      ['BAD_REQUEST', undefined],
    ]);
    expect(JSON.stringify(tracing.spans)).not.toContain('canary');
  });
});

describe('what nobody waits for', () => {
  it('is a trace of its own: a renewal ahead of expiry', async () => {
    await ended(one.ask({ trace: parentOf('a') }));
    tracing.spans.length = 0;
    await clock.advance(500_000);
    const [flight, call] = tracing.spans;
    expect(flight).toMatchObject({ name: 'flight', parent: undefined, facts: { reason: 'refresh' }, ended: 'ok' });
    expect(call).toMatchObject({ name: 'idp call', parent: flight?.context.spanId });
  });
});

describe('a revocation', () => {
  it('is in the trace of who orders it, step by step', async () => {
    await ended(one.get());
    tracing.spans.length = 0;
    const reply = await revoke({ selector: { source: 'payments-api' } }, parentOf('a'));
    const [span] = tracing.of('revoke');
    expect(span).toMatchObject({
      parent: 'a'.repeat(16),
      ended: 'ok',
      facts: { caller: 'ops', selector: 'source', revocation: reply['id'], complete: true, slots: 1, dry_run: false },
    });
    expect(span?.events.map(({ name }) => name)).toEqual(['ordered', 'written', 'confirmed']);
    const ofTrace = one.audit.entries.filter(({ traceId }) => traceId === 'a'.repeat(32));
    expect(ofTrace.map(({ event }) => event)).toEqual(['revocation.ordered', 'revocation.ended']);
  });

  it('has the fetches of the successors below it, where it is graceful', async () => {
    await ended(one.get());
    tracing.spans.length = 0;
    await revoke({ selector: { source: 'payments-api' }, graceful: true }, parentOf('a'));
    const [span] = tracing.of('revoke');
    expect(tracing.of('flight')).toMatchObject([{ parent: span?.context.spanId, facts: { reason: 'revoked' } }]);
  });

  it('ends with why it is not done: refused, or Redis is away', async () => {
    await revoke({ selector: { source: 'nothing' } }, parentOf('a'));
    one.store.wire = away('list', 'revoke');
    await revoke({ selector: { all: true } });
    expect(tracing.of('revoke').map(({ ended: how }) => how)).toEqual(['UNKNOWN_SOURCE', 'STORE_UNAVAILABLE']);
  });

  it('never names the person that is looked for', async () => {
    await revoke({ selector: { subject: 'canary-person' } });
    expect(JSON.stringify(tracing.spans)).not.toContain('canary');
  });
});
