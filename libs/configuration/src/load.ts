import { dirname, resolve } from 'node:path';
import { err, ok, type Result } from '@token-broker/foundation';
import type { Configuration } from './configuration.js';
import { readDocument, type PositionedDocument } from './document.js';
import { warningsOf } from './file-warnings.js';
import { fileSchema, toConfiguration } from './file-schema.js';
import { findingsOf } from './findings.js';
import {
  formatPath,
  type ConfigurationProblem,
  type ConfigurationProblems,
  type Finding,
  type Path,
} from './problems.js';
import { resolveReferences } from './references.js';
import { fileErrorText, readSystemFile, type ReadFile } from './secret-file.js';

export interface ConfigurationOptions {
  /** Where `${env:NAME}` looks: `process.env` in a broker. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: the file system. */
  readonly readFile?: ReadFile;
  /** Whether files that everybody can read are refused. Default: everywhere but on Windows. */
  readonly checkModes?: boolean;
}

export interface ParseOptions extends ConfigurationOptions {
  /** The file that the text comes from: its folder is where relative `${file:…}` paths start. Default `token-broker.yaml`. */
  readonly file?: string;
}

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** What is allowed, but seldom meant. */
  readonly warnings: readonly ConfigurationProblem[];
  /** Absolute paths of every file that it was made of: a change in any of them is a reason to load again. */
  readonly files: readonly string[];
}

/** Reads, resolves and checks a configuration file. Expected failures are values: all that is wrong, at once. */
export async function loadConfiguration(
  path: string,
  options: ConfigurationOptions,
): Promise<Result<LoadedConfiguration, ConfigurationProblems>> {
  const file = resolve(path);
  let text: string;
  try {
    ({ text } = await (options.readFile ?? readSystemFile)(file));
  } catch (error) {
    const problem = { path: '', line: 1, column: 1, message: `the configuration file ${fileErrorText(error)}` };
    return err({ file: path, problems: [problem], files: [file] });
  }
  const parsed = await parseConfiguration(text, { ...options, file: path });
  if (parsed.ok) return ok({ ...parsed.value, files: [file, ...parsed.value.files] });
  return err({ ...parsed.error, files: [file, ...parsed.error.files] });
}

/** The same for a text that is in memory already. `files` holds what the text refers to. */
export async function parseConfiguration(
  text: string,
  options: ParseOptions,
): Promise<Result<LoadedConfiguration, ConfigurationProblems>> {
  const file = options.file ?? 'token-broker.yaml';
  const document = readDocument(text.replace(/^\uFEFF/, ''));
  const syntax = document.syntaxProblems.map(({ path, ...rest }) => ({ path: formatPath(path), ...rest }));
  if (!document.wellFormed) return refused(file, syntax, []);
  const resolved = await resolveReferences(document.data, {
    env: options.env,
    readFile: options.readFile ?? readSystemFile,
    folder: dirname(resolve(file)),
    checkModes: options.checkModes ?? process.platform !== 'win32',
  });
  const parsed = fileSchema.safeParse(resolved.data ?? {});
  const consequential = (path: Path): boolean => resolved.unresolved.some((known) => startsWith(path, known));
  const findings = [
    ...resolved.findings,
    ...findingsOf(parsed.error?.issues ?? []).filter(({ path }) => !consequential(path)),
  ];
  const problems = [...syntax, ...findings.map((finding) => placed(document, finding, resolved.values))];
  if (!parsed.success || problems.length > 0) return refused(file, problems, resolved.files);
  const configuration = toConfiguration(parsed.data);
  const warnings = warningsOf(configuration).map((finding) => placed(document, finding, resolved.values));
  return ok({ configuration, warnings, files: resolved.files });
}

function refused(
  file: string,
  problems: readonly ConfigurationProblem[],
  files: readonly string[],
): Result<never, ConfigurationProblems> {
  const [first, ...others] = inFileOrder(problems);
  if (first === undefined) throw new Error('a configuration was refused without a reason');
  return err({ file, problems: [first, ...others], files });
}

function inFileOrder(problems: readonly ConfigurationProblem[]): ConfigurationProblem[] {
  const unique = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...unique.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

function placed(document: PositionedDocument, finding: Finding, values: ReadonlySet<string>): ConfigurationProblem {
  const { path, message, hint, atKey } = finding;
  return {
    path: formatPath(path),
    ...document.positionOf(path, atKey),
    message: withoutValues(message, values),
    ...(hint === undefined ? {} : { hint: withoutValues(hint, values) }),
  };
}

/** Messages are written without values; this is the second lock on the same door. */
function withoutValues(text: string, values: ReadonlySet<string>): string {
  let result = text;
  for (const value of values) {
    if (value.length >= 8) result = result.replaceAll(value, '<redacted>');
  }
  return result;
}

function startsWith(path: Path, start: Path): boolean {
  return start.every((part, index) => path[index] === part);
}
