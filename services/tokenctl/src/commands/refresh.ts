import { formatDuration } from '@token-broker/foundation';
import type { RefreshReply } from '@token-broker/protocol';
import { Command } from 'commander';
import type { GlobalOptions } from '../connection-settings.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { examples, type Invocation } from '../invocation.js';
import { printable, type Style } from '../output/style.js';
import { counted } from '../output/texts.js';
import { askAbout, requireSourceOrSlot } from '../source-or-slot.js';

interface RefreshOptions {
  readonly failIfNothing?: true;
}

/** `refresh`: newer tokens now. */
export function refreshCommand(invocation: Invocation): Command {
  return new Command('refresh')
    .summary('have tokens renewed now')
    .description(
      'Has the tokens of a source, or of one slot, renewed now as they would be ahead of their expiry: the old ones go on being good, and calls that somebody waits for come first. It revokes nothing.',
    )
    .argument('<source-or-slot>', 'a name under `sources:`, or a slot of `tokenctl slots`')
    .option('--fail-if-nothing', 'exit with 5 when no token is held')
    .addHelpText('after', examples('tokenctl refresh payments-api', 'tokenctl refresh GxscWS3sQlF2I3xp5RsEOw --json'))
    .action(async (given: string, options: RefreshOptions, command: Command) => {
      const printer = invocation.printer(command);
      const { timeout: timeoutMs } = command.optsWithGlobals<GlobalOptions>();
      const what = requireSourceOrSlot(given);
      const reply = await invocation.throughDoor(command, (door) =>
        askAbout(what, (request) => door.operator.refresh({ ...request, timeoutMs })),
      );
      printer.result(reply, (style) => rendered(reply, style));
      invocation.exitCode = exitCodeOf(reply, options);
    });
}

function rendered(reply: RefreshReply, style: Style): string {
  const { tokens, refreshed, elsewhere, needsCaller, failed, underWay, failures, truncated } = reply;
  if (tokens === 0 && !truncated) return 'No token is held: the next request fetches one.\n';
  const isWhole = refreshed === tokens && !truncated;
  const head = `${String(refreshed)} of ${counted(tokens, 'token')} ${refreshed === 1 ? 'is' : 'are'} new.`;
  const lines = [
    isWhole ? style.good(head) : style.warn(head),
    ...(elsewhere > 0 ? [`Another broker renews ${String(elsewhere)} of them at this moment.`] : []),
    ...(needsCaller > 0
      ? [`${String(needsCaller)} on behalf of a subject, whose token its caller alone has: the next request renews it.`]
      : []),
    ...(underWay > 0 ? [`${String(underWay)} had not ended when the time was over, and go on.`] : []),
    ...(failed > 0 ? [`${style.bad(String(failed))} failed; the old ones are good until they expire:`] : []),
    ...failures.map(({ code, message, count, retryAfterMs }) => {
      const wait = retryAfterMs === undefined ? '' : `, again in ${formatDuration(retryAfterMs)}`;
      return `  ${String(count)}: ${printable(message)} [${printable(code)}]${wait}`;
    }),
    ...(truncated ? ['There are more tokens, which were not looked at: order it again.'] : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** What another broker does at this moment, and what its caller has to do, is no failure. */
function exitCodeOf(
  { tokens, failed, underWay, truncated }: RefreshReply,
  { failIfNothing }: RefreshOptions,
): ExitCode {
  if (failed > 0 || underWay > 0 || truncated) return EXIT.failed;
  return tokens === 0 && failIfNothing === true ? EXIT.nothing : EXIT.ok;
}
