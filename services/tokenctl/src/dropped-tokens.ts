import type { Command } from 'commander';
import type { Invocation } from './invocation.js';
import { counted } from './output/texts.js';
import { reasonOf } from './private-files.js';
import type { Dropped } from './token-cache/token-cache.js';

/**
 * Drops tokens of this user's cache that may be good no more, whoever they were fetched as. A failure is a warning: what
 * was done at the brokers is done.
 */
export async function dropCached(invocation: Invocation, command: Command, which: Dropped): Promise<void> {
  const printer = invocation.printer(command);
  try {
    const dropped = await invocation.tokenCache(command)?.drop(which);
    if (dropped !== undefined && dropped > 0) printer.debug(`cache: ${counted(dropped, 'token')} dropped`);
  } catch (error) {
    printer.warning(
      `a token in the cache on this machine could not be removed (${reasonOf(error)}): \`get\` may print it until it is too old`,
    );
  }
}
