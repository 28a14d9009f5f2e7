import type { PauseReply } from '@token-broker/protocol';
import { Command } from 'commander';
import { CommandFailure, toCommandFailure } from '../command-failure.js';
import { examples, type Invocation } from '../invocation.js';
import { once, reasonFrom, requireSource } from '../option-parsers.js';
import type { Style } from '../output/style.js';
import { timeOf } from '../output/texts.js';

interface PauseOptions {
  readonly reason?: string;
}

/** `pause`: keeps brokers from fetching tokens of a source. */
export function pauseCommand(invocation: Invocation): Command {
  return described(
    'pause',
    'keep the brokers from fetching tokens of a source',
    'Keeps every broker from fetching tokens of a source, until `resume`. Tokens that are held are handed out as long as they are good; whoever needs another one is refused with PAUSED. To take the held ones back too, revoke the source after it.',
  )
    .addHelpText(
      'after',
      examples(
        'tokenctl pause payments-api --reason "credential leaked"',
        'tokenctl pause payments-api && tokenctl revoke --source payments-api --yes --reason "credential leaked"',
      ),
    )
    .action(run(invocation, 'pause'));
}

/** `resume`: ends a pause. */
export function resumeCommand(invocation: Invocation): Command {
  return described(
    'resume',
    'let the brokers fetch tokens of a source again',
    'Ends what `pause` began: brokers fetch tokens of the source again, for the next request and ahead of expiry.',
  )
    .addHelpText('after', examples('tokenctl resume payments-api --reason "credential replaced"'))
    .action(run(invocation, 'resume'));
}

function described(name: string, summary: string, description: string): Command {
  return new Command(name)
    .summary(summary)
    .description(description)
    .argument('<source>', 'the name under `sources:`')
    .option('--reason <text>', 'for the audit trail', once);
}

function run(invocation: Invocation, verb: 'pause' | 'resume') {
  return async (given: string, options: PauseOptions, command: Command): Promise<void> => {
    const request = { source: requireSource(given), ...reasonFrom(options) };
    const reply = await invocation.throughDoor(command, (door) =>
      door.operator[verb](request).catch((error: unknown) => {
        throw withDoubt(error, verb);
      }),
    );
    invocation.printer(command).result(reply, (style) => rendered(reply, style));
  };
}

function rendered({ source, paused, changed, sinceMs = 0 }: PauseReply, style: Style): string {
  if (!paused)
    return changed
      ? `${style.good('Resumed')}: tokens of source ${source} are fetched again.\n`
      : `Source ${source} was not paused.\n`;
  const lines = [
    changed
      ? `${style.warn('Paused')}: no broker begins to fetch a token of source ${source}, until \`tokenctl resume ${source}\`.`
      : `Source ${source} is paused since ${timeOf(sinceMs)} (UTC).`,
    'What is held is handed out while it is good, and what was being fetched may still come:',
    `\`tokenctl revoke --source ${source}\` ends both.`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** An answer that never came does not say that nothing happened. */
function withDoubt(error: unknown, verb: string): CommandFailure {
  const { code, message, remedy, exitCode, details } = toCommandFailure(error);
  const inDoubt = `It may have happened or not: \`tokenctl status\` shows it. Doing it again is safe.`;
  const isInDoubt =
    code === 'DEADLINE' || code === 'NATS_UNAVAILABLE' || code === 'HTTP_UNAVAILABLE' || code === 'STORE_UNAVAILABLE';
  const text = { code, message, remedy: isInDoubt ? inDoubt : remedy };
  return new CommandFailure(text, exitCode, { ...details, verb });
}
