import type { SetRefreshTokenReply } from '@token-broker/protocol';
import { Command } from 'commander';
import { CommandFailure, toCommandFailure, usageFailure } from '../command-failure.js';
import { dropCached } from '../dropped-tokens.js';
import { examples, type Invocation } from '../invocation.js';
import { once, reasonFrom, requireSource } from '../option-parsers.js';
import type { Style } from '../output/style.js';
import { counted } from '../output/texts.js';
import { tokensFromInput } from '../standard-input.js';

/** `refresh-token`: looks after the refresh tokens that brokers spend. */
export function refreshTokenCommand(invocation: Invocation): Command {
  return new Command('refresh-token')
    .summary('give the brokers a refresh token to spend')
    .description('Looks after the refresh tokens of sources with `grant: refresh_token`.')
    .addHelpText('after', examples('tokenctl refresh-token set mailbox < refresh-token.txt'))
    .addCommand(setCommand(invocation));
}

function setCommand(invocation: Invocation): Command {
  return new Command('set')
    .summary('put a refresh token there, from standard input')
    .description(
      'Reads a refresh token from standard input and gives it to the brokers: the first one of a source, or another in place of one that the identity provider refuses (REAUTH_REQUIRED). Nothing else takes it: an argument would be read by everybody who can list processes.',
    )
    .argument('<source>', 'the name under `sources:`')
    .option('--reason <text>', 'why, for the audit trail', once)
    .allowExcessArguments()
    .addHelpText(
      'after',
      examples('tokenctl refresh-token set mailbox < refresh-token.txt', 'tokenctl refresh-token set mailbox --json'),
    )
    .action(async (given: string, options: { readonly reason?: string }, command: Command) => {
      if (command.args.length > 1)
        throw usageFailure(
          'a refresh token is not taken as an argument: everybody who can list processes would read it',
          'Give it on standard input. Consider the one on the command line leaked: authorise again, for another one.',
        );
      const printer = invocation.printer(command);
      const source = requireSource(given);
      const reason = reasonFrom(options);
      const [refreshToken = ''] = await tokensFromInput(invocation, command, `refresh token of ${source}`);
      const reply = await invocation.throughDoor(command, (door) =>
        door.operator.setRefreshToken({ source, refreshToken, ...reason }).catch((error: unknown) => {
          throw explained(error, source);
        }),
      );
      // The next `get` is to show what the new refresh token is good for.
      await dropCached(invocation, command, { source });
      printer.result(reply, (style) => rendered(reply, style));
    });
}

function rendered({ source, replicas, replaced }: SetRefreshTokenReply, style: Style): string {
  return [
    `${style.good('Set')}: the brokers spend this refresh token for source ${source} from now on${replaced ? ', and the one before never again' : ''}.`,
    replicas > 0
      ? `Redis has it, and ${counted(replicas, 'replica')} of it.`
      : 'Redis has it, and no replica of it: a failover to one now could lose it.',
    `Next: \`tokenctl get ${source}\` shows whether the identity provider takes it. Delete every copy: it is spent once, and`,
    'whoever uses a spent one makes the identity provider refuse all that came of it.',
  ]
    .map((line) => `${line}\n`)
    .join('');
}

/** An answer that never came does not say that nothing happened; and what is wrong with the token is known here. */
function explained(error: unknown, source: string): CommandFailure {
  const { code, message, remedy, exitCode, details } = toCommandFailure(error);
  const inDoubt = `It may be set or not: \`tokenctl status\` shows it. Setting the same token again is safe until it was spent.`;
  const remedies: Readonly<Record<string, string>> = {
    BAD_REQUEST: `The source ${source} needs \`grant: refresh_token\`, and a token that was never spent: authorise it at the identity provider again.`,
    DEADLINE: inDoubt,
    NATS_UNAVAILABLE: inDoubt,
    STORE_UNAVAILABLE: `${remedy} ${inDoubt}`,
  };
  return new CommandFailure({ code, message, remedy: remedies[code] ?? remedy }, exitCode, details);
}
