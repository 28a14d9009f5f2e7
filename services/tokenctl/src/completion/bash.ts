import type { CompletedCommand, CompletedOption } from './vocabulary.js';

/** A script for bash 4 and later. It asks nobody: all words are in it. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  return `# bash completion of tokenctl: source <(tokenctl completion bash)
_tokenctl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" word
  local -i i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$path $word" in
${commands
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      "${parentOf(path)} ${nameOf(path)}") path="${path}" ;;`)
  .join('\n')}
    esac
  done
  case "$path/$previous" in
${commands.flatMap(valueCases).join('\n')}
  esac
  local words="" files=""
  case "$path" in
${commands.map(wordsCase).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n "$files" && "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _tokenctl tokenctl
`;
}

function parentOf(path: string): string {
  return path.split(' ').slice(0, -1).join(' ');
}

function nameOf(path: string): string {
  return path.split(' ').at(-1) ?? '';
}

/** After an option that takes a value, only values. */
function valueCases({ path, options }: CompletedCommand): string[] {
  return options.flatMap((option) => {
    const patterns = option.flags.map((flag) => `"${path}/${flag}"`).join('|');
    const reply = replyOf(option);
    return reply === undefined ? [] : [`    ${patterns}) ${reply}; return ;;`];
  });
}

function replyOf({ value }: CompletedOption): string | undefined {
  if (value === 'none') return undefined;
  if (value === 'file') return 'COMPREPLY=($(compgen -f -- "$current"))';
  return value === 'any' ? ':' : `COMPREPLY=($(compgen -W "${value.join(' ')}" -- "$current"))`;
}

function wordsCase({ path, subcommands, options, argument }: CompletedCommand): string {
  const choices = typeof argument === 'string' ? [] : argument;
  const words = [...subcommands, ...choices, ...options.flatMap(({ flags }) => flags), '--help'];
  const files = argument === 'file' ? ' files=yes' : '';
  return `    "${path}") words="${words.join(' ')}"${files} ;;`;
}
