import { formatDuration } from '@token-broker/foundation';
import type { ListReply } from '@token-broker/protocol';
import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { listLimit, once, requireSource } from '../option-parsers.js';
import { renderTable } from '../output/table.js';
import { counted, generationTime } from '../output/texts.js';

interface SlotsOptions {
  readonly source?: string;
  readonly limit?: number;
}

/** `slots`, in the protocol `list`: the tokens that Redis holds, never the tokens themselves. */
export function slotsCommand(invocation: Invocation): Command {
  return new Command('slots')
    .summary('list the tokens that are held')
    .description('Lists the tokens that Redis holds: source, slot, generation (the time of its birth, UTC), expiry.')
    .option('--source <name>', 'of this source only', once)
    .option('--limit <n>', 'at most so many, 1 to 1000 (default: 100)', listLimit)
    .addHelpText('after', examples('tokenctl slots', 'tokenctl slots --source payments-api --limit 10 --json'))
    .action(async ({ source, limit }: SlotsOptions, command: Command) => {
      const printer = invocation.printer(command);
      const request = {
        ...(source === undefined ? {} : { source: requireSource(source) }),
        ...(limit === undefined ? {} : { limit }),
      };
      const reply = await invocation.throughDoor(command, (door) => door.operator.list(request));
      printer.result(reply, () => renderList(reply));
      if (reply.truncated)
        printer.note(`These are the first ${String(reply.slots.length)}; there are more: --limit, --source.`);
    });
}

function renderList({ slots }: ListReply): string {
  if (slots.length === 0) return 'No token is held.\n';
  const rows = slots.map(({ source, slot, generation, expiresInMs }) => [
    source,
    slot,
    generationTime(generation),
    formatDuration(expiresInMs),
  ]);
  const columns = [
    { heading: 'SOURCE' },
    { heading: 'SLOT' },
    { heading: 'GENERATION (UTC)' },
    { heading: 'EXPIRES IN', isFigure: true },
  ];
  return `${renderTable(columns, rows)}${counted(slots.length, 'token')}\n`;
}
