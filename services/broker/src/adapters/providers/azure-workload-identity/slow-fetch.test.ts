import { eventually, SeededRandom, VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Reply } from '../../../app/fakes/fake-cluster.js';
import { entraSource, startEntra, VAULT_SCOPE } from '../fakes/entra-endpoint.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

const STORAGE_SCOPE = 'https://storage.azure.com/.default';
const SLOW_SECONDS = 30;

it('K7: a fetch that takes 30 s delays nobody else: not at the same upstream, not at others, on no replica', async () => {
  const entra = await startEntra();
  let letGo = (): void => undefined;
  const held = new Promise<undefined>((resolve) => {
    letGo = () => {
      resolve(undefined);
    };
  });
  entra.answer = ({ form }) => (form['scope'] === VAULT_SCOPE ? held : undefined);
  const patience = { timeoutMs: 60_000, lockTimeMs: 62_000 };
  const vault = entraSource(entra, { name: 'vault', ...patience });
  const storage = entraSource(entra, { name: 'storage', scopes: [STORAGE_SCOPE], ...patience });

  const clock = new VirtualClock();
  const cluster = new FakeCluster(clock, new SeededRandom(1));
  for (const { name } of [vault, storage])
    cluster.providers.set(name, (source, lend) => createProvider(source, { clock, log: silentLog, lend }));
  const sources = new Map([vault, storage, sourceOf()].map((source) => [source.name, source]));
  const replicas = [
    await cluster.start(configurationOf({ sources })),
    await cluster.start(configurationOf({ sources })),
  ];
  const ask = (target: string, body?: object): Promise<Reply[]> =>
    Promise.all(replicas.map((replica) => replica.ask({ caller: 'ops', target }, body)));
  const tokensOf = (replies: readonly Reply[]): (string | undefined)[] => replies.map((reply) => reply.accessToken);

  let isOver = false;
  const slow = ask('vault', { deadlineMs: 60_000 }).finally(() => {
    isOver = true;
  });
  await eventually(() => entra.calls() === 1, { what: 'the slow fetch to be under way' });

  // Time stands still while others are served: had one of them to wait for anything, it would wait for ever.
  const [first, again] = tokensOf(await ask('storage'));
  expect(first).toMatch(/^canary-of-entra-/);
  expect(again).toBe(first);
  for (let second = 1; second <= SLOW_SECONDS; second++) {
    await clock.advance(1_000);
    const others = await Promise.all([
      ask('storage'),
      ask('payments-api'),
      ask('payments-api', { audience: `cold-${String(second)}` }),
    ]);
    for (const token of tokensOf(others.flat())) expect(token).toBeTypeOf('string');
  }
  expect(clock.elapsedMs()).toBeGreaterThanOrEqual(SLOW_SECONDS * 1_000);
  expect(isOver).toBe(false);

  letGo();
  await eventually(
    async () => {
      await clock.advance(100);
      return isOver;
    },
    { what: 'the slow fetch to be over' },
  );
  const tokens = tokensOf(await slow);
  expect(tokens[0]).toMatch(/^canary-of-entra-/);
  expect(new Set(tokens).size).toBe(1);
  expect(entra.asked().filter((form) => form['scope'] === VAULT_SCOPE)).toHaveLength(1);
  await Promise.all(replicas.map(({ broker }) => broker.stop(1_000)));
});
