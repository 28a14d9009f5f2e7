import type { CompletedCommand, CompletedOption } from './vocabulary.js';

/** A script for fish. It asks nobody: all words are in it. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const top = commands.find(({ path }) => path === '');
  const global = new Set(top?.options.flatMap(({ flags }) => flags));
  return `# fish completion of tokenctl: tokenctl completion fish > ~/.config/fish/completions/tokenctl.fish
complete -c tokenctl -f
${(top?.options ?? []).map((option) => lineOf('', option)).join('\n')}
${commands.flatMap((command) => linesOf(command, commands, global)).join('\n')}
`;
}

function linesOf(command: CompletedCommand, all: readonly CompletedCommand[], global: ReadonlySet<string>): string[] {
  const { path, options, subcommands, argument } = command;
  const condition = conditionOf(command);
  const own = options.filter(({ flags }) => !flags.some((flag) => global.has(flag)));
  const choices = typeof argument === 'string' ? [] : argument;
  return [
    ...subcommands.map((name) => {
      const inner = all.find((one) => one.path === `${path} ${name}`.trim());
      return `complete -c tokenctl${condition} -a ${name} -d ${quoted(inner?.description ?? '')}`;
    }),
    ...choices.map((name) => `complete -c tokenctl${condition} -a ${name}`),
    ...(argument === 'file' ? [`complete -c tokenctl${condition} -F`] : []),
    ...own.map((option) => lineOf(condition, option)),
  ];
}

/** Where the words before it name this command, and no further one. */
function conditionOf({ path, subcommands }: CompletedCommand): string {
  const seen = path.split(' ').filter((word) => word !== '');
  const parts = [
    ...(seen.length === 0 ? ['__fish_use_subcommand'] : seen.map((word) => `__fish_seen_subcommand_from ${word}`)),
    ...(seen.length > 0 && subcommands.length > 0 ? [`not __fish_seen_subcommand_from ${subcommands.join(' ')}`] : []),
  ];
  return ` -n ${quoted(parts.join('; and '))}`;
}

function lineOf(condition: string, { flags, description, value }: CompletedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
  const after =
    value === 'none' ? '' : value === 'file' ? ' -r -F' : value === 'any' ? ' -x' : ` -x -a ${quoted(value.join(' '))}`;
  return `complete -c tokenctl${condition} ${names}${after} -d ${quoted(description)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
