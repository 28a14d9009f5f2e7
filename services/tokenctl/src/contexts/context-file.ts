import { dirname, isAbsolute, join } from 'node:path';
import type { Random } from '@token-broker/foundation';
import { isIdentifier } from '@token-broker/protocol';
import { CommandFailure, usageFailure } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { makePrivateDirectory, readPrivateFile, reasonOf, writePrivateFile } from '../private-files.js';
import { CONTEXT_FIELDS, type Context, type Contexts } from './context.js';

const MAX_FILE_BYTES = 1024 * 1024;

/** `tokenctl/contexts.json` in `XDG_CONFIG_HOME`, else in `~/.config`. `undefined`: the environment says of neither. */
export function contextFile(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const xdg = env['XDG_CONFIG_HOME'] ?? '';
  const home = env['HOME'] ?? '';
  // A relative path there is to be ignored (XDG Base Directory Specification).
  const base = isAbsolute(xdg) ? xdg : isAbsolute(home) ? join(home, '.config') : undefined;
  return base === undefined ? undefined : join(base, 'tokenctl', 'contexts.json');
}

/**
 * The contexts of a file; none where there is no file.
 *
 * @throws {CommandFailure} for a file that cannot be read, or that somebody else may have written: who changes the server in
 * it gets the password
 */
export async function readContexts(path: string | undefined): Promise<Contexts> {
  if (path === undefined) return { current: undefined, all: [] };
  let text: string | undefined;
  try {
    text = await readPrivateFile(path, MAX_FILE_BYTES);
  } catch (error) {
    throw unusable(path, reasonOf(error), 'Make it a file that is yours, with mode 0600.');
  }
  if (text === undefined) return { current: undefined, all: [] };
  const contexts = parsed(text);
  if (contexts !== undefined) return contexts;
  throw unusable(path, 'it holds no contexts', 'Mend it, or remove it and add them again.');
}

/** @throws {CommandFailure} where it cannot be written */
export async function writeContexts(
  path: string | undefined,
  { current, all }: Contexts,
  random: Random,
  wallMs: number,
): Promise<void> {
  if (path === undefined)
    throw usageFailure('there is no place for contexts', 'Set HOME or XDG_CONFIG_HOME to an absolute path.');
  try {
    await makePrivateDirectory(dirname(path));
    await writePrivateFile(path, `${JSON.stringify({ v: 1, current, contexts: all }, null, 2)}\n`, random, wallMs);
  } catch (error) {
    const message = `${path} cannot be written (${reasonOf(error)})`;
    throw new CommandFailure({ code: 'CONTEXTS', message, remedy: 'Check who may write there.' }, EXIT.failed);
  }
}

function unusable(path: string, why: string, remedy: string): CommandFailure {
  return usageFailure(`the contexts in ${path} cannot be used: ${why}`, remedy);
}

function parsed(text: string): Contexts | undefined {
  const file = fieldsOf(jsonOf(text));
  const { current, contexts } = file ?? {};
  if (file?.['v'] !== 1 || !Array.isArray(contexts)) return undefined;
  const all = contexts.map(contextOf).filter((context) => context !== undefined);
  if (all.length !== contexts.length || (current !== undefined && typeof current !== 'string')) return undefined;
  return { current, all };
}

function contextOf(value: unknown): Context | undefined {
  const { name, ...rest } = fieldsOf(value) ?? {};
  const known: readonly string[] = CONTEXT_FIELDS;
  if (typeof name !== 'string' || !isIdentifier(name)) return undefined;
  const isSound = Object.entries(rest).every(([field, text]) => known.includes(field) && typeof text === 'string');
  return isSound ? { name, ...rest } : undefined;
}

function fieldsOf(value: unknown): Partial<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
