import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { renderSourceTable } from '../output/source-table.js';

/** `sources`: each source in a row. */
export function sourcesCommand(invocation: Invocation): Command {
  return new Command('sources')
    .summary('show each source: what is held, asked and called')
    .description(
      'Shows each source in a row: tokens held, requests, calls of the identity provider, and what an operator has to see to. The figures are sums over the brokers that answer, since each of them started.',
    )
    .addHelpText('after', examples('tokenctl sources', 'tokenctl sources --json'))
    .action(async (_options: object, command: Command) => {
      const printer = invocation.printer(command);
      const { sources, silent = [] } = await invocation.throughDoor(command, (door) => door.operator.status());
      printer.result({ v: 1, sources, silent }, (style) => renderSourceTable(sources, style));
      if (silent.length > 0) printer.warning(`without the figures of ${silent.join(', ')}: no answer`);
    });
}
