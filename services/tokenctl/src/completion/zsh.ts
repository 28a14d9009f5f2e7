import type { CompletedCommand, CompletedOption } from './vocabulary.js';

/** A script for zsh. It asks nobody: all words are in it. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  return `#compdef tokenctl
# zsh completion of tokenctl: tokenctl completion zsh > "\${fpath[1]}/_tokenctl"
${commands.map((command) => functionOf(command, commands)).join('\n')}
if [[ "$funcstack[1]" == _tokenctl ]]; then _tokenctl "$@"; else compdef _tokenctl tokenctl; fi
`;
}

function functionOf(command: CompletedCommand, all: readonly CompletedCommand[]): string {
  const { path, options, subcommands, argument } = command;
  const specs = options.map(specOf);
  if (subcommands.length === 0) {
    const last = argument === 'none' ? [] : [`'1:${argumentSpec(argument)}'`];
    return `${nameOf(path)}() {\n  _arguments -S \\\n${[...specs, ...last].map((spec) => `    ${spec}`).join(' \\\n')}\n}`;
  }
  const described = subcommands.map((name) => {
    const inner = all.find((one) => one.path === `${path} ${name}`.trim());
    return `    ${quoted(`${name}:${inner?.description ?? ''}`)}`;
  });
  const cases = subcommands.map((name) => `    ${name}) ${nameOf(`${path} ${name}`.trim())} ;;`);
  return `${nameOf(path)}() {
  local -a commands=(
${described.join('\n')}
  )
  local context state line
  _arguments -C -S \\
${specs.map((spec) => `    ${spec}`).join(' \\\n')} \\
    '1: :->command' '*:: :->rest'
  case "$state" in
  command) _describe command commands ;;
  rest) case "$words[1]" in
${cases.join('\n')}
    esac ;;
  esac
}`;
}

function nameOf(path: string): string {
  return path === '' ? '_tokenctl' : `_tokenctl_${path.replaceAll(/[ -]/g, '_')}`;
}

function specOf({ flags, description, value }: CompletedOption): string {
  const text = `[${description.replaceAll(/[[\]:]/g, String.raw`\$&`)}]`;
  const after = value === 'none' ? '' : `:${argumentSpec(value)}`;
  if (flags.length === 1) return quoted(`${flags[0] ?? ''}${text}${after}`);
  return `'(${flags.join(' ')})'{${flags.join(',')}}${quoted(`${text}${after}`)}`;
}

function argumentSpec(value: CompletedOption['value']): string {
  if (value === 'file') return 'file:_files';
  return typeof value === 'string' ? 'value: ' : `value:(${value.join(' ')})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
