import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { renderStatus } from '../output/status-page.js';

/** `status`: every broker as it sees itself, and the whole. */
export function statusCommand(invocation: Invocation): Command {
  return new Command('status')
    .summary('show brokers, NATS, Redis, sources and near caches')
    .description(
      'Shows every broker as it sees itself, whether they agree, and sources, budgets and near caches at a glance. Figures of sources are sums over the brokers that answer, since each of them started.',
    )
    .addHelpText('after', examples('tokenctl status', 'tokenctl status --json'))
    .action(async (_options: object, command: Command) => {
      const printer = invocation.printer(command);
      const reply = await invocation.throughDoor(command, (door) => door.operator.status());
      printer.result(reply, (style) => renderStatus(reply, style));
    });
}
