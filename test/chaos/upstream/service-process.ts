import { fileURLToPath } from 'node:url';
import { startProgram, type Program } from '@token-broker/testing';
import { PASSWORD, type Stack } from '../../integration/stack.js';

/** What a service process is told at its start. */
export interface ServiceSettings {
  readonly url: string;
  readonly caller: string;
  readonly password: string;
  readonly source: string;
  /** By how much its wall clock is wrong from the start. */
  readonly offByMs: number;
  /** By how much its wall clock jumps at SIGUSR2. */
  readonly jumpMs: number;
}

/** A use of the token. `beganAtMs` is before the token was asked for, on the machine's monotonic clock. */
export interface Use {
  readonly kind: 'used';
  readonly beganAtMs: number;
  readonly accessToken: string;
  readonly generation: number;
  readonly expiresInMs: number;
  /** Requests that the client had sent by then. */
  readonly requests: number;
}

/** A line that a service process prints. */
export type ServiceLine =
  | Use
  | { readonly kind: 'refused'; readonly beganAtMs: number; readonly reason: string }
  | { readonly kind: 'jumped'; readonly beganAtMs: number };

/** A service in a process of its own, with a wall clock of its own. */
export interface ServiceProcess {
  readonly program: Program;
  lines(): ServiceLine[];
  uses(): Use[];
}

const PATH = fileURLToPath(new URL('clocked-service.ts', import.meta.url));
/** Node and the programs' loader start slowly on a loaded machine. */
const STARTED_WITHIN_MS = 45_000;

/** Starts a service, and waits until it has used its first token. */
export async function startService(
  stack: Stack,
  source: string,
  clock: { readonly offByMs?: number; readonly jumpMs?: number } = {},
): Promise<ServiceProcess> {
  const settings: ServiceSettings = {
    url: stack.nats.url,
    caller: 'ops',
    password: PASSWORD,
    source,
    offByMs: clock.offByMs ?? 0,
    jumpMs: clock.jumpMs ?? 0,
  };
  const nodeArgs = ['--import', 'tsx', '--conditions=token-broker:source'];
  const program = startProgram(PATH, { nodeArgs, args: [JSON.stringify(settings)] });
  const lines = (): ServiceLine[] => program.stdout.map((line) => JSON.parse(line) as ServiceLine);
  const service = { program, lines, uses: () => lines().filter((line) => line.kind === 'used') };
  await program.waitForLine(/"used"/, STARTED_WITHIN_MS);
  return service;
}
