import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository, absolute. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The parts of a package.json that conventions are about. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Record<string, string | Record<string, string>>;
  readonly scripts?: Record<string, string>;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

export interface Workspace {
  /** Relative to {@link ROOT}, such as `libs/foundation`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** What Git tracks, and what it would track: a file that is about to be committed is held to the conventions too. */
export const trackedFiles: readonly string[] = execFileSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
)
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)));

export function readText(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readText(join(folder, 'package.json'))) as Manifest;
}

/** Every package of the repository except the root. */
export const workspaces: readonly Workspace[] = trackedFiles
  .filter((file) => /^(libs\/[^/]+|services\/[^/]+|deploy\/[^/]+|test(\/[^/]+)?)\/package\.json$/.test(file))
  .map((file) => ({ folder: dirname(file), manifest: readManifest(dirname(file)) }));

/** TypeScript and JavaScript that people wrote. */
export const codeFiles: readonly string[] = trackedFiles.filter((file) => /\.(ts|mjs|cjs|js)$/.test(file));

export function isTestFile(file: string): boolean {
  return file.endsWith('.test.ts') || file.startsWith('test/');
}

export function lineCount(text: string): number {
  return text === '' ? 0 : text.replace(/\n$/, '').split('\n').length;
}
