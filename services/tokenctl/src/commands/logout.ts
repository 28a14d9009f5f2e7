import { Command } from 'commander';
import { CommandFailure } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { removeContext } from './context.js';
import { examples, type Invocation } from '../invocation.js';
import { counted } from '../output/texts.js';
import { reasonOf } from '../private-files.js';

/** `logout`: forgets the tokens on this machine. Connects to nothing. */
export function logoutCommand(invocation: Invocation): Command {
  return new Command('logout')
    .summary('forget the tokens that are kept on this machine')
    .description(
      'Removes every token from the cache of this user on this machine; with a name, that context and its tokens only. The brokers are not asked: `revoke` takes tokens back everywhere.',
    )
    .argument('[context]', 'a context to forget, with its tokens')
    .addHelpText('after', examples('tokenctl logout', 'tokenctl logout staging'))
    .action(async (context: string | undefined, _options: object, command: Command) => {
      if (context !== undefined) {
        await removeContext(invocation, command, context);
        return;
      }
      const tokens = await emptied(invocation, command);
      invocation.printer(command).result({ tokens }, () => `Forgotten: ${counted(tokens, 'token')} on this machine.\n`);
    });
}

async function emptied(invocation: Invocation, command: Command): Promise<number> {
  try {
    return (await invocation.tokenCache(command)?.drop({ all: true })) ?? 0;
  } catch (error) {
    throw new CommandFailure(
      {
        code: 'CACHE',
        message: `a token in the cache on this machine could not be removed (${reasonOf(error)})`,
        remedy:
          'Remove `tokens` in the directory of the cache by hand (TOKENCTL_CACHE_DIR, else token-broker in ~/.cache).',
      },
      EXIT.failed,
    );
  }
}
