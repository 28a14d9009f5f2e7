import { eventually } from '@token-broker/testing';
import { LocalError } from './local-error.js';
import { startLocalProcess, type LocalProcess } from './local-process.js';
import type { ProcessGuard } from './process-guard.js';
import { brokerProgram } from './programs.js';

const LISTEN_LIMIT_MS = 15_000;
const READY_LIMIT_MS = 15_000;

/** A broker replica, seen from the process that started it. */
export interface BrokerProcess {
  readonly process: LocalProcess;
  /** `http://127.0.0.1:PORT`, where `/metrics` and `/readyz` are. */
  readonly httpUrl: string;
}

export interface BrokerProcessOptions {
  readonly name: string;
  readonly configurationFile: string;
  readonly guard: ProcessGuard;
  readonly adopt: (process: LocalProcess) => void;
  readonly onLine?: (line: string) => void;
}

/** Starts a replica and resolves when it serves. */
export async function startBrokerProcess(options: BrokerProcessOptions): Promise<BrokerProcess> {
  const { name } = options;
  const process = startLocalProcess({
    name,
    path: brokerProgram(),
    args: ['--config', options.configurationFile],
    guard: options.guard,
    adopt: options.adopt,
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const address = await process.waitFor(`${name} to listen`, listeningAddress, LISTEN_LIMIT_MS);
  const httpUrl = `http://${address}`;
  const ready = eventually(
    async () => {
      const response = await fetch(`${httpUrl}/readyz`);
      const text = await response.text();
      if (!response.ok) throw new Error(text.trim());
      return true;
    },
    { what: `${name} to be ready`, withinMs: READY_LIMIT_MS, everyMs: 20 },
  ).catch((error: unknown) => {
    throw new LocalError(`${name} does not get ready`, {
      why: error instanceof Error ? error.message : String(error),
      next: 'Its last lines are below; they say what it lacks.',
      lines: process.lastLines(),
    });
  });
  const ended = process.exited.then(() => {
    throw new LocalError(`${name} ended while it started`, {
      why: 'it refused its configuration or its surroundings',
      next: 'Its last lines are below; they say what it lacks.',
      lines: process.lastLines(),
    });
  });
  await Promise.race([ready, ended]);
  // The end of a replica that has started is told by the stack.
  ended.catch(() => undefined);
  return { process, httpUrl };
}

function listeningAddress(line: string): string | undefined {
  if (!line.includes('"http: listening"')) return undefined;
  const { address } = JSON.parse(line) as { readonly address: string };
  return address;
}
