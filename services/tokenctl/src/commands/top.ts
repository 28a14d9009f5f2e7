import type { StatusReply } from '@token-broker/protocol';
import { Command } from 'commander';
import { toCommandFailure } from '../command-failure.js';
import { examples, type Invocation } from '../invocation.js';
import { frameCount, interval } from '../option-parsers.js';
import { renderTop } from '../output/top-page.js';
import type { Surroundings } from '../surroundings.js';
import { pacesBetween, type Sample } from '../top/rates.js';
import { isInterruptedWithin } from '../until-end.js';

interface TopOptions {
  readonly interval: number;
  readonly count?: number;
}

const DEFAULT_INTERVAL_MS = 2_000;
/** Home, and everything below cleared: what is drawn over does not flicker. */
const [HOME, CLEAR_BELOW, CLEAR] = ['\u001b[H', '\u001b[J', '\u001b[2J'];

/** `top`: a view that renews itself. */
export function topCommand(invocation: Invocation): Command {
  return new Command('top')
    .summary('show requests, calls and budgets live')
    .description(
      'Shows what all brokers do now: requests and how many memory answers, calls of identity providers, budgets. Ends with Ctrl-C, or after --count. With --json one object a line.',
    )
    .option('--interval <duration>', 'how often to ask, 500ms to 1m (default: 2s)', interval, DEFAULT_INTERVAL_MS)
    .option('--count <n>', 'end after so many views', frameCount)
    .addHelpText('after', examples('tokenctl top', 'tokenctl top --interval 5s --count 12 --json'))
    .action(async ({ interval: everyMs, count }: TopOptions, command: Command) => {
      const { surroundings } = invocation;
      const { clock, stdout } = surroundings;
      const printer = invocation.printer(command);
      const isScreen = stdout.isTTY && !printer.isJson;
      await invocation.throughDoor(command, async (door) => {
        let before: Sample | undefined;
        if (isScreen) stdout.write(CLEAR);
        for (let shown = 0; shown < (count ?? Number.POSITIVE_INFINITY);) {
          const now = await sampled(() => door.operator.status(), surroundings, before === undefined);
          if (typeof now === 'string') printer.warning(now);
          else if (before !== undefined) {
            const paces = pacesBetween(before, now);
            const at = new Date(clock.wallMs()).toISOString();
            if (printer.isJson) stdout.write(`${JSON.stringify({ at, ...asJson(paces), status: now.status })}\n`);
            else {
              const page = renderTop(at, now.status, paces, printer.style);
              stdout.write(isScreen ? `${HOME}${page}${CLEAR_BELOW}` : `${page}\n`);
            }
            shown++;
          }
          if (typeof now !== 'string') before = now;
          if (shown === count || (await isInterruptedWithin(surroundings, everyMs))) return;
        }
      });
    });
}

/** A view that fails is not the end: what is looked at may be what has failed. But the first has to work. */
async function sampled(
  ask: () => Promise<StatusReply>,
  { clock }: Surroundings,
  isFirst: boolean,
): Promise<Sample | string> {
  try {
    const status = await ask();
    return { status, atMs: clock.elapsedMs() };
  } catch (error) {
    if (isFirst) throw error;
    const { code, message } = toCommandFailure(error);
    return `${message} [${code}]`;
  }
}

function asJson({ whole, brokers, sources }: ReturnType<typeof pacesBetween>): object {
  return { whole, brokers: Object.fromEntries(brokers), sources: Object.fromEntries(sources) };
}
