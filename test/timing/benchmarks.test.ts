import { fileURLToPath } from 'node:url';
import { startProgram } from '@token-broker/testing';
import { expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../bench/dist/main.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** It takes 3 minutes at most; a machine with other work takes longer. */
const LIMIT_MS = 420_000;

const NAMES = [
  ...['near-cache-sync', 'near-cache-async', 'broker-throughput', 'broker-latency', 'client-throughput', 'cold-fetch'],
  ...[
    'single-flight',
    'invalidation',
    'refresh-push',
    'refresh-boundary',
    'slots-1M',
    'clients-10k',
    'idle',
    'startup',
  ],
];

it(
  'each benchmark runs, and prints well-formed lines: what they say is for people to judge',
  async () => {
    const program = startProgram(MAIN, { args: ['--quick', '--json'], cwd: ROOT, env: { NODE_OPTIONS: undefined } });
    const exit = await program.exited;
    expect(exit, program.stderr.slice(-20).join('\n')).toEqual({ code: 0, signal: null });
    const lines = program.stdout.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect([...new Set(lines.map(({ name }) => name))]).toEqual(NAMES);
    for (const line of lines) {
      expect(line, JSON.stringify(line)).toMatchObject({
        name: expect.any(String) as string,
        ratio: expect.any(Number) as number,
        ours: expect.any(Number) as number,
        baseline: expect.any(Number) as number,
        unit: expect.any(String) as string,
        runs: expect.any(Number) as number,
      });
      if (line['name'] === 'cold-fetch') expect(line['overheadMs']).toEqual(expect.any(Number));
      if (line['name'] === 'broker-throughput') expect(line['generatorCpu']).toEqual(expect.any(Number));
    }
  },
  LIMIT_MS,
);
