import { formatDuration } from '@token-broker/foundation';
import { TokenBrokerError } from '@token-broker/protocol';
import { EXIT, EXIT_OF, type ExitCode } from './exit-codes.js';

/** What is wrong, in the words of the protocol's table (`FORBIDDEN`, `DEADLINE`, …) or of this program. */
export interface FailureText {
  /** Stable. Beside the protocol's codes: `USAGE`, `CONFIGURATION`, `NATS_UNAVAILABLE`, `NATS_DENIED`. */
  readonly code: string;
  /** What happened and why, as one sentence. Holds no secret. */
  readonly message: string;
  /** What to do next. */
  readonly remedy: string;
}

/** Ends a command: the texts for the operator, and the exit code for the script. */
export class CommandFailure extends Error implements FailureText {
  override readonly name = 'CommandFailure';
  readonly code: string;
  readonly remedy: string;
  readonly exitCode: ExitCode;
  /** Shown with `--json`, beside the error. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(text: FailureText, exitCode: ExitCode, details: Readonly<Record<string, unknown>> = {}) {
    super(text.message);
    this.code = text.code;
    this.remedy = text.remedy;
    this.exitCode = exitCode;
    this.details = details;
  }
}

export function usageFailure(message: string, remedy: string): CommandFailure {
  return new CommandFailure({ code: 'USAGE', message, remedy }, EXIT.usage);
}

/** Any error that a command threw, as what is shown of it. */
export function toCommandFailure(error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error;
  if (error instanceof TokenBrokerError) {
    const { code, message, retryAfterMs } = error;
    const wait = retryAfterMs === undefined ? '' : ` (retry after ${formatDuration(retryAfterMs)})`;
    const details = retryAfterMs === undefined ? {} : { retryAfterMs };
    return new CommandFailure({ code, message: `${message}${wait}`, remedy: error.remedy }, EXIT_OF[code], details);
  }
  const message = error instanceof Error ? error.message : 'an error without a reason';
  return new CommandFailure(
    { code: 'INTERNAL', message, remedy: 'This is a bug of tokenctl: report it with the command line.' },
    EXIT.failed,
  );
}
