import { Command } from 'commander';
import { usageFailure } from '../command-failure.js';
import { examples, type Invocation } from '../invocation.js';
import { requireSource } from '../option-parsers.js';
import { renderQuota } from '../output/quota-page.js';

/** `quota`: what is left of the budgets at identity providers. */
export function quotaCommand(invocation: Invocation): Command {
  return new Command('quota')
    .summary('show what is left of the calls of identity providers')
    .description(
      'Shows the budget of each source, which all brokers share: calls that count now, the limit, the reserve, pauses, and when it would run out at the pace of late.',
    )
    .argument('[source]', 'this source only')
    .addHelpText('after', examples('tokenctl quota', 'tokenctl quota payments-api --json'))
    .action(async (given: string | undefined, _options: object, command: Command) => {
      const printer = invocation.printer(command);
      const wanted = given === undefined ? undefined : requireSource(given);
      const { sources } = await invocation.throughDoor(command, (door) => door.operator.status());
      const shown = sources.filter(({ name }) => wanted === undefined || name === wanted);
      if (wanted !== undefined && shown.length === 0)
        throw usageFailure(`there is no source "${wanted}"`, '`tokenctl sources` shows them.');
      const budgets = shown.map(({ name, budget }) => ({ name, ...(budget === undefined ? {} : { budget }) }));
      printer.result({ v: 1, sources: budgets }, (style) => renderQuota(budgets, style));
    });
}
