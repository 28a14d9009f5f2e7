import { fileURLToPath } from 'node:url';
import { eventually, startProgram, type Program } from '@token-broker/testing';

/** As it was built: what is shipped is what is measured. */
const BROKER_MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.resolve('@token-broker/broker')));
const WITHIN_MS = 30_000;

/** A broker as it is deployed: a process of its own. */
export interface BrokerProcess {
  readonly program: Program;
  /** Where `/metrics` and `/readyz` are. */
  readonly url: string;
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
