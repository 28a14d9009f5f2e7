import { fileURLToPath } from 'node:url';
import { startProgram, type Program, type ProgramExit } from '@token-broker/testing';
import { PASSWORD, type Stack } from './stack.js';

/** No folder: nobody has made it. */
const NOWHERE = fileURLToPath(new URL('./nowhere', import.meta.url));
/** The program itself, as it was built. */
export const TOKENCTL = fileURLToPath(new URL('../../services/tokenctl/bin/tokenctl.js', import.meta.url));

/** Variables beside those that every run is given. */
type Environment = Readonly<Record<string, string>>;

/** How a run of the program ended, and what it printed. */
export interface Run extends ProgramExit {
  readonly out: string;
  readonly err: string;
}

/** Runs the operators' program itself, as the caller `ops`. */
export function tokenctl(
  stack: Pick<Stack, 'nats'>,
  args: readonly string[],
  input?: string,
  env?: Environment,
): Promise<Run> {
  return tokenctlAs('ops', stack, args, input, env);
}

/** Runs it as another caller, and with nothing of whoever runs the tests: neither their contexts nor their tokens. */
export async function tokenctlAs(
  user: string,
  stack: Pick<Stack, 'nats'>,
  args: readonly string[],
  input?: string,
  env?: Environment,
): Promise<Run> {
  const program = startTokenctl(user, stack, args, input, env);
  const exit = await program.exited;
  return { ...exit, out: program.stdout.join('\n'), err: program.stderr.join('\n') };
}

/** Starts it, for commands that end only when they are stopped. */
export function startTokenctl(
  user: string,
  stack: Pick<Stack, 'nats'>,
  args: readonly string[],
  input?: string,
  env: Environment = {},
): Program {
  return startProgram(TOKENCTL, {
    args,
    env: { ...environmentOf(user, stack), ...env },
    ...(input === undefined ? {} : { input }),
  });
}

/** How it is told where the servers are, and as whom it runs; nothing is kept on this machine. */
export function environmentOf(user: string, { nats }: Pick<Stack, 'nats'>): Record<string, string> {
  return {
    TOKENCTL_SERVER: nats.url,
    TOKENCTL_USER: user,
    TOKENCTL_PASSWORD: PASSWORD,
    TOKENCTL_CACHE_TTL: '0',
    XDG_CONFIG_HOME: NOWHERE,
    NO_COLOR: '1',
  };
}
