import { setTimeout as pause } from 'node:timers/promises';
import { createOperator } from '@token-broker/client/operator';
import { alternate } from '../harness/alternate.js';
import type { BenchContext, Benchmark, Comparison } from '../harness/benchmark.js';
import { machineNs } from '../harness/machine.js';
import type { Worker } from '../harness/worker.js';
import type { BarePublisherMethods } from '../programs/bare-publisher.js';
import type { FleetEvent, SubscriptionFleetMethods } from '../programs/subscription-fleet.js';
import { nextMessage } from '../stack/next-message.js';
import { BARE_EVENT, OPERATOR } from '../stack/settings.js';
import { withStack, type Stack } from '../stack/stack.js';
import { wireCount, wireNs, WIRE_TIMES } from '../stack/wire-times.js';

const PROCESSES = 2;
const CONNECTIONS_IN_EACH = 25;
const WAIT_MS = 30_000;
const HALF_TICK_MS = 500;

/** What ten thousand near caches cost, where all of them have to hear something. */
export const clients10k: Benchmark = {
  name: 'clients-10k',
  ours: 'a heartbeat, a revocation, and a revocation with receipts, until the last of 10,000 near caches on 50 connections has heard of it (or its receipt has come)',
  baseline:
    'a bare publish of the same bytes, until the last of 10,000 subscriptions has them (or its answer has come)',
  run: (context) =>
    withStack(context, { brokerNodeArgs: WIRE_TIMES }, async (stack) => {
      const perConnection = context.effort.choose(10_000, 1_000) / PROCESSES / CONNECTIONS_IN_EACH;
      const fleet = await Promise.all(
        Array.from({ length: PROCESSES }, () => stack.worker<SubscriptionFleetMethods>('subscription-fleet')),
      );
      const nearCaches = perConnection * CONNECTIONS_IN_EACH * PROCESSES;
      context.progress(`connecting ${String(nearCaches)} near caches`);
      const settings = { url: stack.nats.url, connections: CONNECTIONS_IN_EACH, perConnection };
      await Promise.all(fleet.map((worker) => worker.call('open', settings)));
      const publisher = await stack.worker<BarePublisherMethods>('bare-publisher');
      await publisher.call('open', stack.nats.url);
      const parts = { context, stack, fleet, publisher, nearCaches };
      return [await heartbeats(parts), ...(await revocations(parts))];
    }),
};

interface Parts {
  readonly context: BenchContext;
  readonly stack: Stack;
  readonly fleet: readonly Worker<SubscriptionFleetMethods>[];
  readonly publisher: Worker<BarePublisherMethods>;
  readonly nearCaches: number;
}

async function heartbeats({ context, stack, fleet, publisher, nearCaches }: Parts): Promise<Comparison> {
  const data = await nextMessage(stack, (subjects) => subjects.heartbeat());
  const sides = await alternate(context, {
    ours: async () => {
      // The wait begins between two heartbeats: the next one is of whom all hear.
      await wireNs(stack, 'heartbeat', wireCount(stack, 'heartbeat') + 1);
      await pause(HALF_TICK_MS);
      const number = wireCount(stack, 'heartbeat') + 1;
      await expectOnAll(fleet, 'heartbeat');
      const heardAtNs = await arrivedOnAll(fleet, 'heartbeat');
      return (heardAtNs - (await wireNs(stack, 'heartbeat', number))) / 1e6;
    },
    baseline: () => publishToAll(fleet, publisher, data),
  });
  return { variant: 'heartbeat', ...sides, unit: 'ms', target: { atMost: 1.5 }, more: { nearCaches } };
}

async function revocations({ context, stack, fleet, publisher, nearCaches }: Parts): Promise<Comparison[]> {
  const operator = createOperator({ connection: await stack.connectAs(OPERATOR), caller: OPERATOR });
  const hold = async (): Promise<string> => (await Promise.all(fleet.map((worker) => worker.call('hold'))))[0] ?? '';
  const slot = await hold();
  const selector = { slot };
  const data = await nextMessage(
    stack,
    (subjects) => subjects.invalidation('*'),
    () => operator.revoke({ selector, reason: 'a benchmark' }),
  );
  const events = await alternate(context, {
    ours: async () => {
      await hold();
      const number = wireCount(stack, 'invalidation') + 1;
      await expectOnAll(fleet, 'revoked');
      await operator.revoke({ selector, reason: 'a benchmark' });
      const heardAtNs = await arrivedOnAll(fleet, 'revoked');
      return (heardAtNs - (await wireNs(stack, 'invalidation', number))) / 1e6;
    },
    baseline: () => publishToAll(fleet, publisher, data),
  });

  const answerWith = (bytes: Uint8Array): Promise<unknown> =>
    Promise.all(fleet.map((worker) => worker.call('answerWith', bytes)));
  await answerWith(Buffer.from(JSON.stringify({ v: 1, id: 'x'.repeat(22), instance: 'y'.repeat(22) })));
  const receipts = await alternate(context, {
    ours: async () => {
      await hold();
      const calledAtNs = machineNs();
      const { receipts: got } = await operator.revoke({
        selector,
        reason: 'a benchmark',
        wait: true,
        timeoutMs: WAIT_MS,
      });
      const tookMs = (machineNs() - calledAtNs) / 1e6;
      const confirmed = got?.counts?.confirmed;
      if (confirmed !== nearCaches) throw new Error(`receipts of ${String(confirmed)} near caches`);
      return tookMs;
    },
    baseline: async () => {
      await publisher.call('expectAnswers', nearCaches);
      const { publishedAtNs } = await publisher.call('publish', { subject: BARE_EVENT, data });
      return ((await publisher.call('answered')) - publishedAtNs) / 1e6;
    },
  });
  const target = { atMost: 1.5 };
  const more = { nearCaches };
  return [
    { variant: 'event', ...events, unit: 'ms', target, more },
    { variant: 'event and receipts: the whole call of `revoke`', ...receipts, unit: 'ms', target, more },
  ];
}

async function publishToAll(
  fleet: readonly Worker<SubscriptionFleetMethods>[],
  publisher: Worker<BarePublisherMethods>,
  data: Uint8Array,
): Promise<number> {
  await expectOnAll(fleet, 'bare');
  const { wiredAtNs } = await publisher.call('publish', { subject: BARE_EVENT, data });
  return ((await arrivedOnAll(fleet, 'bare')) - wiredAtNs) / 1e6;
}

async function expectOnAll(fleet: readonly Worker<SubscriptionFleetMethods>[], kind: FleetEvent): Promise<void> {
  await Promise.all(fleet.map((worker) => worker.call('expect', kind)));
}

async function arrivedOnAll(fleet: readonly Worker<SubscriptionFleetMethods>[], kind: FleetEvent): Promise<number> {
  return Math.max(...(await Promise.all(fleet.map((worker) => worker.call('arrived', kind)))));
}
