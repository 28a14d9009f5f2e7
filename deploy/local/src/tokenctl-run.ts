import type { RevokeReply } from '@token-broker/protocol';
import { LocalError } from './local-error.js';
import { startLocalProcess } from './local-process.js';
import { machineNowMs } from './machine-clock.js';
import { PAYMENTS } from './participants.js';
import type { ProcessGuard } from './process-guard.js';
import { tokenctlProgram } from './programs.js';

const LIMIT_MS = 20_000;

/** The command of the scenario, as a person would type it. */
export const REVOKE_ARGUMENTS = [
  'revoke',
  '--source',
  PAYMENTS,
  '--reason',
  'it-has-leaked',
  '--wait',
  '--yes',
  '--json',
] as const;

/** What `tokenctl` said, and when. */
export interface TokenctlRevocation {
  readonly exitCode: number | null;
  readonly reply: RevokeReply;
  /** When its answer was read, by the machine's clock. */
  readonly ackAtMs: number;
}

/**
 * Runs the `tokenctl revoke` of {@link REVOKE_ARGUMENTS} as a process.
 *
 * @throws {LocalError} where it says nothing that can be read
 */
export async function runRevocation(
  env: Readonly<Record<string, string>>,
  guard: ProcessGuard,
): Promise<TokenctlRevocation> {
  let ackAtMs = 0;
  const lines: string[] = [];
  const process = startLocalProcess({
    name: 'tokenctl',
    path: tokenctlProgram(),
    args: REVOKE_ARGUMENTS,
    env,
    guard,
    onLine(line, stream) {
      if (stream !== 'stdout') return;
      ackAtMs = machineNowMs();
      lines.push(line);
    },
  });
  const timer = setTimeout(() => void process.stop(), LIMIT_MS);
  const { code } = await process.exited;
  clearTimeout(timer);
  const reply = replyIn(lines.join('\n'));
  if (reply !== undefined) return { exitCode: code, reply, ackAtMs };
  throw new LocalError('tokenctl did not revoke', {
    why: `tokenctl ${REVOKE_ARGUMENTS.join(' ')} ended with ${code === null ? 'no exit code' : `exit code ${String(code)}`}`,
    next: 'What it printed is below.',
    lines: process.lastLines(),
  });
}

function replyIn(text: string): RevokeReply | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<RevokeReply>;
    return parsed.complete === undefined ? undefined : (parsed as RevokeReply);
  } catch {
    return undefined;
  }
}
