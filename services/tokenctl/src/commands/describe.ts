import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { renderDescription } from '../output/description-page.js';
import { askAbout, requireSourceOrSlot } from '../source-or-slot.js';

/** `describe`: everything about one source, or one slot, but for the token. */
export function describeCommand(invocation: Invocation): Command {
  return new Command('describe')
    .summary('show all that is known of a source or a slot')
    .description(
      'Shows a source or a slot as every broker knows it: tokens and their life, when the next is renewed, the last failure, who may use it and who does. Never a token.',
    )
    .argument('<source-or-slot>', 'a name under `sources:`, or a slot of `tokenctl slots`')
    .addHelpText('after', examples('tokenctl describe payments-api', 'tokenctl describe GxscWS3sQlF2I3xp5RsEOw --json'))
    .action(async (given: string, _options: object, command: Command) => {
      const printer = invocation.printer(command);
      const what = requireSourceOrSlot(given);
      const reply = await invocation.throughDoor(command, (door) =>
        askAbout(what, (request) => door.operator.describe(request)),
      );
      printer.result(reply, (style) => renderDescription(reply, style));
    });
}
