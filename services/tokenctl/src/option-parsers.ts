import { parseDuration } from '@token-broker/foundation';
import { isIdentifier, isSlot, LIMITS } from '@token-broker/protocol';
import { InvalidArgumentError } from 'commander';
import { usageFailure } from './command-failure.js';

/** How long `--timeout` may be at most: what a broker holds a request for. */
const MAX_TIMEOUT_MS = LIMITS.deadlineMs;
const MAX_LIST_LIMIT = 1_000;
export const MAX_REASON_CHARACTERS = 500;
/** RFC 3339, the seconds left out where they are. Without a time zone nobody knows what is meant. */
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$/;

/** A given value wins over an earlier one without a word, unless this refuses it. */
export function once(value: string, previous: string | undefined): string {
  if (previous !== undefined) throw new InvalidArgumentError('It is given twice.');
  return value;
}

export function duration(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new InvalidArgumentError(`${parsed.error}.`);
  return parsed.value;
}

export function timeout(text: string): number {
  const ms = duration(text);
  if (ms <= 0 || ms > MAX_TIMEOUT_MS) throw new InvalidArgumentError('It must be above 0 and at most 2m.');
  return ms;
}

export function interval(text: string): number {
  const ms = duration(text);
  if (ms < 500 || ms > 60_000) throw new InvalidArgumentError('It must be from 500ms to 1m.');
  return ms;
}

export function frameCount(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('It must be a whole number above 0.');
  return count;
}

export function listLimit(text: string): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIST_LIMIT)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${String(MAX_LIST_LIMIT)}.`);
  return limit;
}

/** @throws {CommandFailure} that does not repeat the text: it may be a token in the wrong place */
export function requireSource(text: string): string {
  if (isIdentifier(text)) return text;
  const message = text === '' ? 'the source is empty' : text === '*' ? '"*" is no source' : 'that is no source';
  throw usageFailure(message, 'Name one source of the configuration; `revoke --all` is for every one.');
}

/** @throws {CommandFailure} that does not repeat the text: it may be a token in the wrong place */
export function requireSlot(text: string): string {
  if (isSlot(text)) return text;
  const message = text === '' ? 'the slot is empty' : 'that is no slot';
  throw usageFailure(
    message,
    'A slot has 22 characters; `tokenctl slots` shows them. `revoke --all` is for every one.',
  );
}

/** @throws {CommandFailure} that does not repeat the text: it may be a token in the wrong place */
export function requireContextName(text: string): string {
  if (isIdentifier(text)) return text;
  throw usageFailure('that is no name of a context', 'A name has 1 to 64 of the characters A-Z a-z 0-9 _ and -.');
}

/** @throws {CommandFailure} for one that brokers would refuse */
export function requireReason(text: string): string {
  if (text.trim() === '')
    throw usageFailure('--reason is empty', 'Say why, for the audit trail: --reason "leaked in a log".');
  if (text.length <= MAX_REASON_CHARACTERS) return text;
  throw usageFailure('--reason is too long', `It may have ${String(MAX_REASON_CHARACTERS)} characters.`);
}

/**
 * A moment as people write it, with its time zone, or how long ago it was.
 *
 * @returns milliseconds since 1970
 */
export function moment(text: string, nowMs: number): number {
  const ago = parseDuration(text);
  if (ago.ok) return nowMs - ago.value;
  const atMs = MOMENT.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  throw usageFailure(
    '--issued-before is no moment',
    'Write it as 2026-11-05T12:30:00Z, with a time zone (Z or +01:00), or how long ago it was: 15m.',
  );
}

/** @throws {CommandFailure} as {@link requireReason} does */
export function reasonFrom({ reason }: { readonly reason?: string }): { readonly reason?: string } {
  return reason === undefined ? {} : { reason: requireReason(reason) };
}

/** A secret on the command line is in the shell's history and in every list of processes, so it is refused. */
export function refuseSecrets(args: readonly string[]): void {
  if (args.some((arg) => /^(--password|--pass|--nkey|--seed)(=|$)/.test(arg)))
    throw usageFailure(
      'a password is not taken as an argument: everybody who can list processes would read it',
      'Set TOKENCTL_PASSWORD, or give --password-file ("-" reads standard input).',
    );
  const isToken = (arg: string): boolean =>
    /^(--token|--access-token|--refresh-token|--subject-token|--actor-token)(=|$)/.test(arg) ||
    /eyJ[\w-]{8,}\./.test(arg);
  if (!args.some(isToken)) return;
  const remedies: Readonly<Record<string, string>> = {
    get: 'Give a subject token on standard input, with --subject-token-stdin.',
    'refresh-token': 'Give a refresh token on standard input: `tokenctl refresh-token set SOURCE < file`.',
  };
  const remedy =
    args.map((arg) => remedies[arg]).find((known) => known !== undefined) ??
    'Name the source (--source) or the slot (--slot) of the token; `tokenctl slots` shows both.';
  throw usageFailure(
    'a token is not taken as an argument: everybody who can list processes would read it',
    `${remedy} Consider this one leaked: revoke it.`,
  );
}
