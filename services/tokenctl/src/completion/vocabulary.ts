import type { Command, Option } from 'commander';

/** One option, as a shell completes it. */
export interface CompletedOption {
  /** `--name`, and `-n` where it has one. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What may follow it: nothing, one of these words, a file, or anything. */
  readonly value: 'none' | 'file' | 'any' | readonly string[];
}

/** One command, as a shell completes it. */
export interface CompletedCommand {
  /** `context add`; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly subcommands: readonly string[];
  /** Of the command and of the program. */
  readonly options: readonly CompletedOption[];
  /** What its argument is. */
  readonly argument: 'none' | 'file' | 'any' | readonly string[];
}

/** All commands of a program, itself first. Made from what parses the command line, so that the two never differ. */
export function vocabularyOf(program: Command): CompletedCommand[] {
  const global = program.options.map(completed);
  const walk = (command: Command, path: string): CompletedCommand[] => [
    {
      path,
      description: command.summary() || command.description(),
      subcommands: command.commands.map((inner) => inner.name()),
      options: path === '' ? global : [...command.options.map(completed), ...global],
      argument: argumentOf(command),
    },
    ...command.commands.flatMap((inner) => walk(inner, `${path} ${inner.name()}`.trim())),
  ];
  return walk(program, '');
}

function completed({ short, long, description, required, optional, argChoices, flags }: Option): CompletedOption {
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    value: !required && !optional ? 'none' : (argChoices ?? (flags.includes('<file>') ? 'file' : 'any')),
  };
}

function argumentOf({ registeredArguments }: Command): CompletedCommand['argument'] {
  const [argument] = registeredArguments;
  if (argument === undefined) return 'none';
  return argument.argChoices ?? (argument.name() === 'file' ? 'file' : 'any');
}
