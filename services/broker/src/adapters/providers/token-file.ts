import { readFile } from 'node:fs/promises';
import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../app/ports/provider.js';
import { parseObject } from './http/json-object.js';

export interface TokenFile {
  /** An absolute path. */
  readonly file: string;
  /** The file is a JSON object, and this one of its fields is the token. Absent: the file is the token. */
  readonly field?: string;
  /** What the token is, for sentences: `the web identity token`. */
  readonly what: string;
  /** A longer one is none. */
  readonly maxCharacters: number;
}

/** The token of a workload, as it stands in its file now: whoever puts it there replaces it before it ends. */
export async function readTokenFile(options: TokenFile): Promise<Result<Redacted, ProviderFailure>> {
  const { file, field, what, maxCharacters } = options;
  const refuse = (problem: string, detail: string): Result<never, ProviderFailure> =>
    err({ code: 'IDP_UNAVAILABLE', message: `the file with ${what} ${problem}`, detail });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return refuse('cannot be read', `${file}: ${code}`);
  }
  const token = field === undefined ? text.trim() : parseObject(text)?.[field];
  const isToken = typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) && token.length <= maxCharacters;
  if (isToken) return ok(new Redacted(token));
  return refuse('holds no token', field === undefined ? file : `${file}: the field ${field}`);
}
