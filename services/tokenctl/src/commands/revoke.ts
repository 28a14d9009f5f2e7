import type { RevokeReply, Selector } from '@token-broker/protocol';
import { Command } from 'commander';
import { CommandFailure, toCommandFailure, usageFailure } from '../command-failure.js';
import type { GlobalOptions } from '../connection-settings.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { examples, type Invocation } from '../invocation.js';
import { MAX_REASON_CHARACTERS, once, requireReason } from '../option-parsers.js';
import { dropCached } from '../dropped-tokens.js';
import { showWaiting } from '../output/progress.js';
import { counted } from '../output/texts.js';
import { describeSelector, renderRevocation, tokensOf } from '../output/revocation-page.js';
import type { Door } from '../surroundings.js';
import { selectorOf, withSelectorOptions, type SelectorOptions } from './revoke-selector.js';

interface RevokeOptions extends SelectorOptions {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly wait?: true;
  readonly atProvider?: true;
  readonly graceful?: true;
  readonly reason?: string;
  readonly failIfNothing?: true;
}

/** `revoke`: takes tokens back from every cache. */
export function revokeCommand(invocation: Invocation): Command {
  const command = new Command('revoke')
    .summary('take tokens back from every broker and near cache')
    .description(
      'Revokes tokens: of a source, of one slot, of a subject, all of them, and so on. When it has returned, no broker answers with them any more; with --wait every connected near cache has confirmed too. There is no undo: brokers fetch other tokens when they are asked, unless the source is paused.',
    );
  return withSelectorOptions(command)
    .option('--dry-run', 'show what would go, change nothing')
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'wait until every near cache has confirmed, at most --timeout')
    .option('--graceful', 'fetch the successors first, at most --timeout; what has none stays (--source, --slot)')
    .option('--at-provider', 'take them back at the identity provider too (RFC 7009), at most --timeout')
    .option('--reason <text>', 'why, for the audit trail; asked for where it is missing', once)
    .option('--fail-if-nothing', 'exit with 5 when nothing matched')
    .addHelpText(
      'after',
      examples(
        'tokenctl revoke --source payments-api --dry-run',
        'tokenctl revoke --source payments-api --wait --timeout 30s --reason "leaked in a log"',
        'tokenctl revoke --source payments-api --graceful --yes --reason "new keys"',
        'tokenctl revoke --token-stdin --yes --reason "found in a log" < leaked-token.txt',
        'tokenctl revoke --subject jane --at-provider --yes --reason "end of contract"',
        'tokenctl revoke --issued-before 2026-11-05T12:30:00Z --yes --reason INC-1234',
        'tokenctl revoke --all --yes --wait --json --reason INC-1234',
      ),
    )
    .action(async (options: RevokeOptions, command: Command) => {
      const selector = await selectorOf(invocation, command, options);
      requireSensible(options);
      const mustAsk = options.dryRun !== true && options.yes !== true;
      if (mustAsk) requireSomebodyToAsk(invocation, command);
      requireReasonOrSomebodyToAsk(options, mustAsk);
      const exitCode = await invocation.throughDoor(command, async (door) => {
        if (mustAsk && !(await isWanted(invocation, door, selector, options))) {
          invocation.printer(command).note('Nothing was revoked.');
          return EXIT.failed;
        }
        const reason = await reasonOf(invocation, options);
        return run(invocation, command, door, selector, { ...options, ...(reason === undefined ? {} : { reason }) });
      });
      invocation.exitCode = exitCode;
    });
}

function requireSensible({ dryRun, wait, atProvider, graceful, reason, source, slot }: RevokeOptions): void {
  if (dryRun === true && wait === true)
    throw usageFailure('--dry-run and --wait exclude each other', 'A dry run changes nothing to wait for.');
  if (dryRun === true && atProvider === true)
    throw usageFailure('--dry-run and --at-provider exclude each other', 'A dry run takes nothing back anywhere.');
  if (graceful === true && dryRun === true)
    throw usageFailure('--dry-run and --graceful exclude each other', 'A dry run fetches nothing.');
  if (graceful === true && source === undefined && slot === undefined)
    throw usageFailure('--graceful is for --source and --slot', 'What is revoked for other reasons should go at once.');
  if (reason !== undefined) requireReason(reason);
}

function requireSomebodyToAsk({ surroundings }: Invocation, command: Command): void {
  if (surroundings.interactive && command.optsWithGlobals<GlobalOptions>().json !== true) return;
  throw usageFailure(
    'a revocation must be confirmed, and there is nobody to ask: this is no terminal, or --json was given',
    'Look at it with --dry-run, then give --yes.',
  );
}

/** A revocation without a reason is refused by brokers too; who can be asked is asked. */
function requireReasonOrSomebodyToAsk({ reason, dryRun }: RevokeOptions, canAsk: boolean): void {
  if (reason === undefined && dryRun !== true && !canAsk) throw withoutReason();
}

async function reasonOf({ surroundings }: Invocation, { reason, dryRun }: RevokeOptions): Promise<string | undefined> {
  if (reason !== undefined || dryRun === true) return reason;
  const answer = (await surroundings.ask('Why? (for the audit trail)')).slice(0, MAX_REASON_CHARACTERS);
  if (answer.trim() === '') throw withoutReason();
  return answer;
}

function withoutReason(): CommandFailure {
  return usageFailure('a revocation needs a reason', 'Say it for the audit trail: --reason "leaked in a log".');
}

/** Says what would go before it asks. */
async function isWanted(
  { surroundings }: Invocation,
  door: Door,
  selector: Selector,
  { atProvider }: RevokeOptions,
): Promise<boolean> {
  const { nearCaches, unjudged = 0, ...counts } = await door.operator.revoke({ selector, dryRun: true });
  const unknown = unjudged === 0 ? '' : ` (${String(unjudged)} more cannot be judged, and stay)`;
  const what = `${describeSelector(selector)}: ${tokensOf(counts)}${unknown}, ${counted(nearCaches, 'near cache')}`;
  return surroundings.confirm(`Revoke ${what}${atProvider === true ? ', at the identity provider too' : ''}?`);
}

async function run(
  invocation: Invocation,
  command: Command,
  door: Door,
  selector: Selector,
  options: RevokeOptions,
): Promise<ExitCode> {
  const printer = invocation.printer(command);
  const { timeout: timeoutMs } = command.optsWithGlobals<GlobalOptions>();
  const isDry = options.dryRun === true;
  const awaited = awaitedBy(options);
  const stopShowing =
    awaited === undefined || printer.isJson ? undefined : showWaiting(invocation.surroundings, awaited, timeoutMs);
  let reply: RevokeReply;
  try {
    const order = {
      selector,
      ...(options.wait === true ? { wait: true } : {}),
      ...(options.atProvider === true ? { atProvider: true } : {}),
      ...(options.graceful === true ? { graceful: true } : {}),
      ...(awaited === undefined ? {} : { timeoutMs }),
    };
    reply = await door.operator.revoke(isDry ? { ...order, dryRun: true } : { ...order, reason: options.reason ?? '' });
  } catch (error) {
    throw isDry ? error : withDoubt(error);
  } finally {
    stopShowing?.();
    // Also after an error, which seldom says that nothing happened.
    if (!isDry) await dropCached(invocation, command, selector);
  }
  printer.result(reply, (style) => renderRevocation(selector, reply, style));
  return exitCodeOf(reply, options);
}

/** What this revocation waits for beside the brokers. */
function awaitedBy({ wait, atProvider, graceful }: RevokeOptions): string | undefined {
  const awaited = [
    ...(graceful === true ? ['successors'] : []),
    ...(wait === true ? [atProvider === true ? 'near caches' : 'near caches to confirm'] : []),
    ...(atProvider === true ? ['the identity provider'] : []),
  ];
  return awaited.length === 0 ? undefined : awaited.join(' and ');
}

/** An answer that never came does not say that nothing happened. */
function withDoubt(error: unknown): CommandFailure {
  const { code, message, remedy, exitCode, details } = toCommandFailure(error);
  const doubt: Readonly<Record<string, string>> = {
    DEADLINE: 'The revocation may have happened or not. Revoke again with a longer --timeout: that is safe.',
    NATS_UNAVAILABLE: 'The revocation may have happened or not. Revoke again: that is safe.',
    HTTP_UNAVAILABLE: `${remedy} The revocation may have happened or not: revoking again is safe.`,
    BROKER_UNAVAILABLE: `${remedy} Until then take it that nothing was revoked; revoking again is safe.`,
    STORE_UNAVAILABLE: `${remedy} Nothing is promised: take it that nothing was revoked, and revoke again.`,
  };
  return new CommandFailure({ code, message, remedy: doubt[code] ?? remedy }, exitCode, details);
}

function exitCodeOf(reply: RevokeReply, { failIfNothing, atProvider }: RevokeOptions): ExitCode {
  const { receipts, provider, graceful, unjudged = 0 } = reply;
  // One that the identity provider has no way to take back is as good there as one for which it failed.
  const isTakenBack = atProvider !== true || (provider !== undefined && provider.revoked === provider.asked);
  const isConfirmed = (receipts?.counts?.stragglers ?? receipts?.stragglers.length ?? 0) === 0;
  const isWhole = unjudged === 0 && (graceful?.failed ?? 0) === 0;
  const isDone = reply.complete && reply.broadcast && isConfirmed && isTakenBack && isWhole && reply.audited !== false;
  if (!reply.dryRun && !isDone) return EXIT.failed;
  return reply.slots === 0 && failIfNothing === true ? EXIT.nothing : EXIT.ok;
}
