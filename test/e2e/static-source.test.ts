import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemRandom } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStack, type Settings, type Stack } from '../integration/stack.js';
import { startBrokerProcess, type BrokerProcess } from './broker-process.js';

const canary = (): string => `canary ${Buffer.from(systemRandom.bytes(9)).toString('hex')}`;

let stack: Stack;
let broker: BrokerProcess;
let folder: string;

beforeAll(async () => {
  stack = await startStack({ brokers: 0 });
  folder = dirname(stack.configurationPath);
  broker = await startBrokerProcess(stack.configurationPath);
});
afterAll(async () => {
  await broker.program.stop();
  await stack.stop();
});

/** As Kubernetes and editors do it. */
async function replace(name: string, text: string): Promise<void> {
  await writeFile(join(folder, `${name}.new`), text, { mode: 0o600 });
  await rename(join(folder, `${name}.new`), join(folder, name));
}

it('a static source follows its file, also one that a reload has named: nobody has to do anything', async () => {
  const [former, later] = [canary(), canary()];
  await replace('password', `${former}\n`);
  await stack.rewrite((settings) => {
    const key = { provider: 'static', value: '${file:password}', username: 'blue', tokenType: 'password' };
    return {
      ...settings,
      sources: { ...(settings['sources'] as Settings), key },
      callers: { orders: { sources: '*' } },
    };
  });

  const client = await stack.client('orders');
  const handle = client.source('key');
  const told: string[] = [];
  handle.on('usernameChanged', ({ before, token }) => told.push(`${before ?? ''} -> ${token.username ?? ''}`));
  const first = await eventually(() => handle.get(), { what: 'the source to be there', withinMs: 10_000 });
  expect(first).toMatchObject({ accessToken: former, tokenType: 'password', username: 'blue' });

  await replace('password', later);
  const second = await eventually(
    async () => {
      const token = await handle.get();
      return token.accessToken === later ? token : undefined;
    },
    { what: 'the later value', withinMs: 10_000 },
  );
  expect(second.username).toBe('blue');
  expect(told).toEqual([]);

  const text = await readFile(stack.configurationPath, 'utf8');
  await replace('broker.yaml', text.replace('username: blue', 'username: green'));
  await eventually(async () => (await handle.get()).username === 'green', { what: 'the other user', withinMs: 10_000 });
  expect(told).toEqual(['blue -> green']);
  expect(stack.idpCalls()).toBe(0);
  const lines = [...broker.program.stdout, ...broker.program.stderr].join('\n');
  expect(lines).toContain('configuration: in force');
  for (const value of [former, later]) expect(lines).not.toContain(value);
});
