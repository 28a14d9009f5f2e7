import { LIMITS } from '@token-broker/protocol';
import type { Command } from 'commander';
import { usageFailure, type CommandFailure } from './command-failure.js';
import type { GlobalOptions } from './connection-settings.js';
import type { Invocation } from './invocation.js';

/** Files of the connection that may be standard input too, each with its variable. */
const FILES = [
  ['passwordFile', 'PASSWORD_FILE'],
  ['creds', 'CREDS'],
  ['nkeyFile', 'NKEY_FILE'],
  ['tlsCa', 'TLS_CA'],
] as const;

/**
 * The lines of standard input, each a token, without the newline at its end. They are read before anything is connected.
 *
 * @param what names the first of them in prompts and errors
 * @throws {CommandFailure} that repeats nothing of it, for what is no token, too long, or more than `most` lines
 */
export async function tokensFromInput(
  invocation: Invocation,
  command: Command,
  what: string,
  most = 1,
): Promise<string[]> {
  const { surroundings } = invocation;
  const options = command.optsWithGlobals<GlobalOptions>();
  if (FILES.some(([option, variable]) => (options[option] ?? surroundings.env[`TOKENCTL_${variable}`]) === '-'))
    throw usageFailure(
      `standard input cannot hold both the ${what} and what the connection needs`,
      'Give the password, the creds or the nkey in a file or the environment.',
    );
  const text = await surroundings.readSecret(`${what}:`);
  const lines = text.replace(/[\r\n]+$/, '').split(/\r?\n/);
  if (lines.length > most) throw unfit(what, most === 1 ? 'more than one line' : `more than ${String(most)} lines`);
  for (const line of lines) requireToken(line, what);
  return lines;
}

function requireToken(line: string, what: string): void {
  if (line === '') throw unfit(what, 'nothing, or an empty line');
  if (line.length > LIMITS.subjectTokenCharacters)
    throw unfit(what, `more than ${String(LIMITS.subjectTokenCharacters)} characters`);
  if (!/^[\x21-\x7e]+$/.test(line)) throw unfit(what, 'white space, or other characters than visible ASCII');
}

function unfit(what: string, held: string): CommandFailure {
  return usageFailure(
    `there is no ${what} on standard input, but ${held}`,
    'Pipe the token alone into the command, as it is, or type it when the terminal asks for it.',
  );
}
