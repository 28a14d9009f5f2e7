/** One thing that is wrong (or, as a warning, unwise) in a configuration file. Its text never holds a secret. */
export interface ConfigurationProblem {
  /** Where in the file's structure: `sources.payments-api.clientId`, `encryption.keys[1].id`. Empty: the whole file. */
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Why a configuration was refused: everything that is wrong with it, in the order of the file. */
export interface ConfigurationProblems {
  readonly file: string;
  readonly problems: readonly [ConfigurationProblem, ...ConfigurationProblem[]];
  /** Absolute paths of every file that was read or should have been: worth watching until the configuration is mended. */
  readonly files: readonly string[];
}

/** A place in the file, before it is known which line that is. */
export type Path = readonly (string | number)[];

/** A problem at a path, before it is known which line that is. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly hint?: string;
  /** True: the key itself is what is wrong, rather than its value. */
  readonly atKey?: boolean;
}

/** One line for each problem, as compilers write them: `broker.yaml:12:5 sources.payments-api.clientId: is required`. */
export function formatProblems(problems: readonly ConfigurationProblem[], file: string): string {
  return problems
    .map(({ path, line, column, message, hint }) => {
      const place = `${file}:${String(line)}:${String(column)}`;
      return `${place} ${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
    })
    .join('\n');
}

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${String(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}
