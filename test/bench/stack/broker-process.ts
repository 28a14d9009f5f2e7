import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually, startProgram, type Program } from '@token-broker/testing';

const BROKER = import.meta.resolve('@token-broker/broker');
/** As it is shipped. */
const BROKER_MAIN = fileURLToPath(new URL('../bin/token-broker.js', BROKER));
/** What is in its bundle of this repository. */
const BUNDLED = ['foundation', 'protocol', 'provider', 'configuration', 'broker'];
const WITHIN_MS = 30_000;

/** A broker as it is deployed: a process of its own. */
export interface BrokerProcess {
  readonly program: Program;
  /** Where `/metrics` and `/readyz` are. */
  readonly url: string;
}

/** @throws {Error} where something was built after the bundle: what is in it is not what would be measured */
export function assertBundled(): void {
  const bundledAtMs = changedAtMs(new URL('../bundle/LICENSES.txt', BROKER));
  for (const name of BUNDLED) {
    if (changedAtMs(new URL('.tsbuildinfo', import.meta.resolve(`@token-broker/${name}`))) > bundledAtMs)
      throw new Error(`the bundle of the broker is older than the build of ${name}: run "npm run build"`);
  }
}

function changedAtMs(file: URL): number {
  return statSync(file).mtimeMs;
}

/** Starts a broker and waits until it serves. */
export async function startBroker(configurationPath: string, nodeArgs: readonly string[] = []): Promise<BrokerProcess> {
  const program = startProgram(BROKER_MAIN, {
    args: ['--config', configurationPath],
    nodeArgs: [...nodeArgs],
    env: { NODE_OPTIONS: undefined },
  });
  const line = await program.waitForLine(/"msg":"http: listening"/, WITHIN_MS);
  const { address } = JSON.parse(line) as { address: string };
  const url = `http://${address}`;
  await program.waitForLine(/"msg":"broker: serving"/, WITHIN_MS);
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, {
    what: 'the broker to be ready',
    withinMs: WITHIN_MS,
  });
  return { program, url };
}
