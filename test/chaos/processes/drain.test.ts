import { createSystemClock } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { sourceSettings, startStack, type Stack } from '../../integration/stack.js';
import { answersTo } from './callers.js';
import { Hammer } from './hammer.js';
import { startReplica, startReplicas, stopReplicas, type Replica } from './replicas.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const WAVES = 2;
const SOURCES_IN_WAVE = 10;
const WARM = 'warm';
const clock = createSystemClock();

let stack: Stack;
let replicas: Replica[] = [];

afterEach(async () => {
  await stopReplicas(replicas);
  await stack.stop();
});

const sourcesOf = (wave: number): string[] =>
  Array.from({ length: SOURCES_IN_WAVE }, (_, index) => `wave-${String(wave)}-${String(index)}`);

it('F36: SIGTERM under load, one replica after the other: drains, no lost commit, no error of a caller', async () => {
  const IDP_MS = 500;
  // A drain ends with the longest call that was under way.
  const DRAINED_WITHIN_MS = IDP_MS + 5_000;
  stack = await startStack({
    brokers: 0,
    configure: (settings, idp) => {
      const names = [WARM, ...Array.from({ length: WAVES }, (_, wave) => sourcesOf(wave)).flat()];
      const sources = Object.fromEntries(names.map((name) => [name, sourceSettings(idp)]));
      return { ...settings, sources, callers: { orders: { sources: ['*'] }, ops: { sources: ['*'], admin: true } } };
    },
  });
  replicas = await startReplicas(stack, WAVES);
  const connection = await stack.connectAs('orders');
  await answersTo(connection, WARM, 1);
  const hammer = await Hammer.start(stack, WARM, 2, 1);
  stack.idp.setDelay(IDP_MS);
  const answers = new Map<string, string[]>();
  const askAll = async (sources: readonly string[]): Promise<void> => {
    await Promise.all(
      sources.map(async (source) => {
        const tokens = await answersTo(connection, source, 5);
        answers.set(source, [...(answers.get(source) ?? []), ...tokens]);
      }),
    );
  };
  for (let wave = 0; wave < WAVES; wave++) {
    const sources = sourcesOf(wave);
    const leaving = replicas[wave];
    if (leaving === undefined) throw new Error('no replica');
    const cold = askAll(sources);
    await eventually(() => stack.idpCalls() === 1 + SOURCES_IN_WAVE * (wave + 1), {
      what: 'all calls to be under way',
    });
    leaving.program.signal('SIGTERM');
    const during = askAll(sources);
    const signalledAtMs = clock.elapsedMs();
    const exit = await leaving.program.exited;
    expect(clock.elapsedMs() - signalledAtMs).toBeLessThan(DRAINED_WITHIN_MS);
    expect(exit).toEqual({ code: 0, signal: null });
    await Promise.all([cold, during]);
    replicas.push(await startReplica(stack.configurationPath));
  }
  await hammer.stop();
  expect(hammer.errors).toEqual([]);
  expect(hammer.blows.length).toBeGreaterThan(100);
  // Everything that was fetched was committed: nobody fetches it again, and those who left are all who had it in memory.
  for (let wave = 0; wave < WAVES; wave++) await askAll(sourcesOf(wave));
  expect(stack.idpCalls()).toBe(1 + WAVES * SOURCES_IN_WAVE);
  expect(stack.idp.counts().tokensIssued).toBe(1 + WAVES * SOURCES_IN_WAVE);
  for (const tokens of answers.values()) {
    expect(tokens).toHaveLength(15);
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toMatch(/Error/);
  }
});
