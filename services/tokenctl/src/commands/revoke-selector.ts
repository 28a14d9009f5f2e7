import { createHash } from 'node:crypto';
import { isIdentifier, type Selector } from '@token-broker/protocol';
import type { Command } from 'commander';
import { usageFailure } from '../command-failure.js';
import type { Invocation } from '../invocation.js';
import { moment, once, requireSlot, requireSource } from '../option-parsers.js';
import { tokensFromInput } from '../standard-input.js';

export interface SelectorOptions {
  readonly source?: string;
  readonly slot?: string;
  readonly all?: true;
  readonly provider?: string;
  readonly usedBy?: string;
  readonly subject?: string;
  readonly tokenStdin?: true;
  readonly tokenSha256?: string;
  readonly issuedBefore?: string;
}

const CHOICE =
  'Give exactly one of --source, --slot, --all, --provider, --used-by, --subject, --token-stdin, --token-sha256 and --issued-before. The last four may have a --source beside them.';

export function withSelectorOptions(command: Command): Command {
  return command
    .option('--source <name>', 'the tokens of this source', once)
    .option('--slot <slot>', 'one token; `tokenctl slots` shows the slots', once)
    .option('--all', 'every token of every source')
    .option('--provider <name>', 'the tokens of every source with this `provider:`', once)
    .option('--used-by <caller>', 'the tokens of every source that this caller may use, for all who use them', once)
    .option('--subject <sub>', 'the tokens on behalf of this subject (`sub` of the subject token)', once)
    .option('--token-stdin', 'the token on standard input, where it is a current one')
    .option('--token-sha256 <hex>', 'the token with this SHA-256', once)
    .option(
      '--issued-before <moment>',
      'tokens asked for before then: 2026-11-05T12:30:00Z, or 15m for 15 min ago',
      once,
    );
}

/** What is to be revoked. A token is read from standard input, and leaves this machine as its SHA-256 alone. */
export async function selectorOf(
  invocation: Invocation,
  command: Command,
  options: SelectorOptions,
): Promise<Selector> {
  const { source, slot, all, provider, usedBy, subject, tokenStdin, tokenSha256, issuedBefore } = options;
  const searched = [subject, tokenStdin, tokenSha256, issuedBefore];
  const alone = [slot, all, provider, usedBy, ...searched].filter((value) => value !== undefined).length;
  if (alone === 0 && source === undefined) throw usageFailure('it is not said what to revoke', CHOICE);
  if (alone > 1 || (source !== undefined && alone === 1 && searched.every((value) => value === undefined)))
    throw usageFailure('these exclude each other', CHOICE);
  const narrowed = source === undefined ? {} : { source: requireSource(source) };
  if (slot !== undefined) return { slot: requireSlot(slot) };
  if (all !== undefined) return { all: true };
  if (provider !== undefined) return { provider: requireName(provider, '--provider') };
  if (usedBy !== undefined) return { caller: requireName(usedBy, '--used-by') };
  if (subject !== undefined) return { subject: requireSubject(subject), ...narrowed };
  if (tokenSha256 !== undefined) return { tokenSha256: requireSha256(tokenSha256), ...narrowed };
  if (issuedBefore !== undefined) return { issuedBeforeMs: requirePast(invocation, issuedBefore), ...narrowed };
  if (tokenStdin === undefined) return { source: requireSource(source ?? '') };
  const [token = ''] = await tokensFromInput(invocation, command, 'token');
  return { tokenSha256: createHash('sha256').update(token).digest('hex'), ...narrowed };
}

function requireName(text: string, option: string): string {
  if (isIdentifier(text)) return text;
  throw usageFailure(`${option} is no name`, 'A name has 1 to 64 of the characters A-Z a-z 0-9 _ and -.');
}

function requireSubject(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (/^[^\x00-\x1f\x7f]{1,256}$/.test(text)) return text;
  throw usageFailure('--subject is no subject', 'It is compared exactly: 1 to 256 characters, no control characters.');
}

function requireSha256(text: string): string {
  const digest = text.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw usageFailure(
    '--token-sha256 is no SHA-256',
    'It has 64 hexadecimal digits: `printf %s "$TOKEN" | sha256sum`. --token-stdin computes it.',
  );
}

function requirePast({ surroundings }: Invocation, text: string): number {
  const nowMs = surroundings.clock.wallMs();
  const atMs = Math.floor(moment(text, nowMs));
  if (atMs >= 1 && atMs <= nowMs) return atMs;
  throw usageFailure(
    '--issued-before is not in the past',
    'Tokens of the future cannot be revoked. See `tokenctl slots`.',
  );
}
