import { Argument, Command } from 'commander';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { vocabularyOf } from '../completion/vocabulary.js';
import { zshCompletion } from '../completion/zsh.js';
import { examples, type Invocation } from '../invocation.js';

const WRITERS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** `completion`: a script with which a shell completes the words of this program. Connects to nothing. */
export function completionCommand(invocation: Invocation): Command {
  return new Command('completion')
    .summary('print a script that completes commands and options')
    .description(
      'Prints a script with which a shell completes commands, options and their values. Connects to nothing.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(WRITERS)))
    .addHelpText(
      'after',
      examples(
        'tokenctl completion bash > /etc/bash_completion.d/tokenctl   # or: source <(tokenctl completion bash)',
        'tokenctl completion zsh > "${fpath[1]}/_tokenctl"',
        'tokenctl completion fish > ~/.config/fish/completions/tokenctl.fish',
      ),
    )
    .action((shell: keyof typeof WRITERS, _options: object, command: Command) => {
      const program = command.parent ?? command;
      const script = WRITERS[shell](vocabularyOf(program));
      invocation.printer(command).result({ shell, script }, () => script);
    });
}
