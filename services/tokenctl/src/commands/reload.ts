import { Command } from 'commander';
import { CommandFailure } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { examples, type Invocation } from '../invocation.js';
import { once, reasonFrom } from '../option-parsers.js';
import { printable } from '../output/style.js';

/** `reload`: brokers read their configuration again. */
export function reloadCommand(invocation: Invocation): Command {
  return new Command('reload')
    .summary('have the brokers read their configuration again')
    .description(
      'Has every broker read its configuration file again, and reports how it went in the one that answers. A file with a problem changes nothing.',
    )
    .option('--reason <text>', 'why, for the audit trail', once)
    .addHelpText('after', examples('tokenctl check broker.yaml && tokenctl reload'))
    .action(async (options: { readonly reason?: string }, command: Command) => {
      const given = reasonFrom(options);
      const printer = invocation.printer(command);
      const reply = await invocation.throughDoor(command, (door) => door.operator.reload(given));
      if (reply.outcome === 'refused') {
        for (const problem of reply.problems) printer.note(printable(problem));
        throw new CommandFailure(
          {
            code: 'CONFIGURATION',
            message: 'the broker refused the configuration and keeps the one it had',
            remedy: 'Mend what is named, see that `tokenctl check` finds nothing, and reload again.',
          },
          EXIT.usage,
          { problems: reply.problems },
        );
      }
      printer.result(reply, () =>
        reply.outcome === 'reloaded'
          ? 'Reloaded. The other brokers were told to do the same.\n'
          : 'Unchanged: the file says what the broker does already. The other brokers were told to read theirs.\n',
      );
    });
}
