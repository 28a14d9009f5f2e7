import { fileURLToPath } from 'node:url';
import { eventually, startProgram, type Program, type ProgramOptions } from '@token-broker/testing';

const MAIN = fileURLToPath(new URL('../../services/broker/bin/token-broker.js', import.meta.url));

/** A broker as it is deployed: a process of its own. */
export interface BrokerProcess {
  readonly program: Program;
  /** Where `/metrics`, `/livez` and `/readyz` are. */
  readonly url: string;
}

/** How the process differs from the usual. */
type Change = Pick<ProgramOptions, 'nodeArgs' | 'env'>;

export function runBroker(configurationPath: string, change: Change = {}): Program {
  return startProgram(MAIN, { ...change, args: ['--config', configurationPath] });
}

/** Starts a broker and waits until it is ready to serve. */
export async function startBrokerProcess(configurationPath: string, change: Change = {}): Promise<BrokerProcess> {
  const program = runBroker(configurationPath, change);
  const line = await program.waitForLine(/"msg":"http: listening"/, 15_000);
  const { address } = JSON.parse(line) as { address: string };
  const url = `http://${address}`;
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, {
    what: 'the broker to be ready',
    withinMs: 15_000,
  });
  return { program, url };
}
