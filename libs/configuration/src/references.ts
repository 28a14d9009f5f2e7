import { isAbsolute, resolve } from 'node:path';
import type { Finding, Path } from './problems.js';
import { fileErrorText, type FileContent, type ReadFile } from './secret-file.js';
import { suggestion } from './suggestion.js';

export interface ReferenceSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
  /** Relative `${file:…}` paths start here. */
  readonly folder: string;
  /** False where permission bits mean nothing (Windows). */
  readonly checkModes: boolean;
}

export interface ResolvedData {
  readonly data: unknown;
  readonly findings: readonly Finding[];
  /** Paths whose value could not be resolved: whatever else seems wrong with them follows from that. */
  readonly unresolved: readonly Path[];
  /** Every value that a reference gave: none of them may appear in a message. */
  readonly values: ReadonlySet<string>;
  /** Absolute paths, read or not. */
  readonly files: readonly string[];
}

/** `$${` (literal), `${kind:name}`, or an opening that is never closed. */
const REFERENCE = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;

/**
 * Replaces `${env:NAME}` and `${file:PATH}` in every string of a document; `$${` stands for a literal `${`. What a reference
 * gives is never searched for references again. Trailing newlines of files are dropped.
 */
export async function resolveReferences(data: unknown, surroundings: ReferenceSurroundings): Promise<ResolvedData> {
  const findings: Finding[] = [];
  const unresolved: Path[] = [];
  const values = new Set<string>();
  const files = new Map<string, Promise<FileContent>>();

  async function resolveReference(reference: string, path: Path): Promise<string | undefined> {
    const [, kind, name = ''] = /^(env|file):(.+)$/s.exec(reference) ?? [];
    if (kind === 'env') return resolveVariable(name, path);
    if (kind === 'file') return resolveFile(name, path);
    findings.push({
      path,
      message: 'unknown reference',
      hint: 'write ${env:NAME} or ${file:PATH}, and $${ for a literal ${',
    });
    return undefined;
  }

  function resolveVariable(name: string, path: Path): string | undefined {
    const value = Object.hasOwn(surroundings.env, name) ? surroundings.env[name] : undefined;
    if (value === undefined) {
      const near = suggestion(name, Object.keys(surroundings.env));
      const message = `the environment variable ${name} is not set`;
      findings.push({ path, message, ...(near === undefined ? {} : { hint: near }) });
    }
    return value;
  }

  async function resolveFile(name: string, path: Path): Promise<string | undefined> {
    const file = isAbsolute(name) ? name : resolve(surroundings.folder, name);
    let content = files.get(file);
    if (content === undefined) files.set(file, (content = surroundings.readFile(file)));
    try {
      const { text, mode } = await content;
      if (surroundings.checkModes && (mode & 0o004) !== 0 && !isPublic(path)) {
        findings.push({ path, message: `everybody can read the file ${file}`, hint: `chmod o= ${file}` });
      }
      return text.replace(/[\r\n]+$/, '');
    } catch (error) {
      findings.push({ path, message: `the file ${file} ${fileErrorText(error)}` });
      return undefined;
    }
  }

  async function resolveText(text: string, path: Path): Promise<string> {
    let result = '';
    let end = 0;
    for (const match of text.matchAll(REFERENCE)) {
      result += text.slice(end, match.index);
      end = match.index + match[0].length;
      if (match[0] === '$${') {
        result += '${';
        continue;
      }
      const value = await resolveReference(match[1] ?? '', path);
      if (value === undefined) {
        unresolved.push(path);
      } else {
        values.add(value);
        result += value;
      }
    }
    return result + text.slice(end);
  }

  async function walk(value: unknown, path: Path, ancestors: readonly unknown[]): Promise<unknown> {
    if (typeof value === 'string') return resolveText(value, path);
    if (typeof value !== 'object' || value === null) return value;
    if (ancestors.includes(value)) {
      findings.push({ path, message: 'an alias that contains itself' });
      unresolved.push(path);
      return undefined;
    }
    const inner = [...ancestors, value];
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const [index, item] of value.entries()) items.push(await walk(item, [...path, index], inner));
      return items;
    }
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__') findings.push({ path: [...path, key], message: 'is not a possible name', atKey: true });
      else entries.push([key, await walk(item, [...path, key], inner)]);
    }
    return Object.fromEntries(entries);
  }

  return { data: await walk(data, [], []), findings, unresolved, values, files: [...files.keys()] };
}

/** Certificates are meant to be seen; every other file that a configuration refers to is taken for a secret. */
function isPublic(path: Path): boolean {
  const last = path.at(-1);
  return last === 'ca' || last === 'clientCa' || last === 'cert' || last === 'certificate';
}
