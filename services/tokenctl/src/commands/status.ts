import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { renderStatus } from '../output/status-page.js';

/** `status`: one broker's view of the whole. */
export function statusCommand(invocation: Invocation): Command {
  return new Command('status')
    .summary('show brokers, NATS, Redis, sources and near caches')
    .description(
      'Shows what the broker that answers knows. Figures of sources are those of that broker, since its start.',
    )
    .addHelpText('after', examples('tokenctl status', 'tokenctl status --json'))
    .action(async (_options: object, command: Command) => {
      const printer = invocation.printer(command);
      const reply = await invocation.throughDoor(command, (door) => door.operator.status());
      printer.result(reply, (style) => renderStatus(reply, style));
    });
}
