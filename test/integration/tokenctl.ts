import { fileURLToPath } from 'node:url';
import { startProgram, type ProgramExit } from '@token-broker/testing';
import { PASSWORD, type Stack } from './stack.js';

const MAIN = fileURLToPath(new URL('../../services/tokenctl/dist/main.js', import.meta.url));

/** How a run of the program ended, and what it printed. */
export interface Run extends ProgramExit {
  readonly out: string;
  readonly err: string;
}

/** Runs the operators' program itself, as the caller `ops`. */
export async function tokenctl(stack: Pick<Stack, 'nats'>, args: readonly string[], input?: string): Promise<Run> {
  const program = startProgram(MAIN, {
    args,
    env: { TOKENCTL_SERVER: stack.nats.url, TOKENCTL_USER: 'ops', TOKENCTL_PASSWORD: PASSWORD, NO_COLOR: '1' },
    ...(input === undefined ? {} : { input }),
  });
  const exit = await program.exited;
  return { ...exit, out: program.stdout.join('\n'), err: program.stderr.join('\n') };
}
