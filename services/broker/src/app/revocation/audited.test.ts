import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCluster, TICK_MS, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { away } from '../fakes/fake-store.js';

let clock: VirtualClock;
let one: Replica;

beforeEach(async () => {
  clock = new VirtualClock();
  one = await new FakeCluster(clock, new SeededRandom(4)).start();
  await clock.advance(3 * TICK_MS);
  await one.get();
  one.audit.entries.length = 0;
});

const ORDER = { selector: { source: 'payments-api' }, reason: 'leaked in a log' };
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

function ask(target: string, body: object = {}, caller = 'ops'): Promise<Reply> {
  return one.ask(
    {
      verb: 'admin',
      caller,
      target,
      trace: { traceId: TRACE, spanId: '00f067aa0ba902b7', isSampled: true, isRemote: true },
    },
    body,
  );
}

describe('the audit trail of a revocation', () => {
  it('has the order before Redis does, and the result before the reply', async () => {
    const seen: string[] = [];
    one.store.wire = {
      toRedis: (command) => {
        if (['presence', 'revoke'].includes(command)) seen.push(`${command} after ${String(one.audit.entries.length)}`);
      },
    };
    const reply = await ask('revoke', ORDER);
    expect(reply).toMatchObject({ complete: true, audited: true });
    expect(new Set(seen)).toEqual(new Set(['presence after 1', 'revoke after 1']));
    const about = { by: 'ops', source: 'payments-api', selector: 'source:payments-api', traceId: TRACE };
    expect(one.audit.entries).toEqual([
      { ...about, event: 'revocation.ordered', revocation: reply['id'], reason: 'leaked in a log' },
      {
        ...about,
        event: 'revocation.ended',
        revocation: reply['id'],
        result: 'done',
        facts: { durable: true, broadcast: true, brokers: 1, brokersConfirmed: 1, tookMs: 0 },
      },
    ]);
  });

  it('is waited for: Redis is not touched before the order is safe', async () => {
    let written = (_: boolean): void => undefined;
    one.audit.isWritable = new Promise((resolve) => (written = resolve));
    const commands: string[] = [];
    one.store.wire = { toRedis: (command) => void commands.push(command) };
    const reply = ask('revoke', ORDER);
    await clock.settle();
    expect(commands.filter((command) => command === 'revoke')).toEqual([]);
    written(true);
    expect(await reply).toMatchObject({ complete: true, audited: true });
  });

  it('does not hold up a revocation that it cannot write down, which says so', async () => {
    one.audit.isWritable = false;
    expect(await ask('revoke', ORDER)).toMatchObject({ complete: true, audited: false });
    expect(await one.get()).toMatchObject({ accessToken: 'token-2' });
  });

  it('names the slot and the generation that ended', async () => {
    const [slot = ''] = ((await ask('list'))['slots'] as { slot: string }[]).map((each) => each.slot);
    await ask('revoke', { selector: { slot }, reason: 'leaked' });
    expect(one.audit.of('revocation.ended')).toMatchObject([
      { slot, selector: `slot:${slot}`, generation: expect.any(Number) as unknown, result: 'done' },
    ]);
  });

  it.each(['presence', 'revoke', 'confirm'])('tells of one that Redis did not take: %s', async (command) => {
    one.store.wire = away(command);
    expect((await ask('revoke', ORDER)).error?.code).toBe('STORE_UNAVAILABLE');
    expect(one.audit.entries.map(({ event, result }) => [event, result])).toEqual([
      ['revocation.ordered', undefined],
      ['revocation.ended', 'failed'],
      ['admin.failed', 'failed'],
    ]);
  });

  it('tells of no dry run, and takes no order without a reason', async () => {
    await ask('revoke', { selector: { all: true }, dryRun: true });
    expect((await ask('revoke', { selector: { all: true } })).error).toEqual({
      code: 'BAD_REQUEST',
      message: 'reason: is required: it is written to the audit trail',
    });
    expect(one.audit.entries).toEqual([]);
  });
});

describe('the audit trail of operators', () => {
  it('has what others tried', async () => {
    expect((await ask('revoke', ORDER, 'orders')).error?.code).toBe('FORBIDDEN');
    expect(one.audit.entries).toEqual([
      { event: 'admin.refused', by: 'orders', result: 'refused', traceId: TRACE, facts: { operation: 'revoke' } },
    ]);
  });

  it('has reloads, with their reason where there is one', async () => {
    await ask('reload');
    one.file = ['broker.yaml:1:1 is missing'];
    await ask('reload', { reason: 'a new source' });
    expect(one.audit.of('configuration.reload')).toMatchObject([
      { by: 'ops', result: 'done', facts: { outcome: 'unchanged' } },
      { by: 'ops', result: 'refused', reason: 'a new source' },
    ]);
  });
});

describe('another way than NATS', () => {
  it('is answered as NATS is, and not before Redis was read, nor after the end', async () => {
    const request = { caller: 'ops', target: 'status', subject: '/v1/admin/status', body: new Uint8Array() };
    const asked = async (replica: Replica): Promise<Reply> => {
      const reply = replica.broker.administer(request);
      await clock.advance(TICK_MS);
      return JSON.parse(Buffer.from(await reply).toString('utf8')) as Reply;
    };
    expect(await asked(one)).toMatchObject({ broker: 'b1', ready: true });
    const early = new FakeCluster(clock, new SeededRandom(5)).replica();
    expect((await asked(early)).error).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryAfterMs: 1_000 });
    const stopped = one.broker.stop(1_000);
    await clock.advance(1_000);
    await stopped;
    expect((await asked(one)).error).toMatchObject({ code: 'BROKER_UNAVAILABLE' });
  });
});
