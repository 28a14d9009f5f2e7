import { usageFailure } from '../command-failure.js';
import { callerOf, serversOf } from '../connection-settings.js';
import type { Surroundings } from '../surroundings.js';
import { placeOf } from '../token-cache/cache-place.js';
import type { Dropped } from '../token-cache/token-cache.js';
import type { Context, Contexts } from './context.js';
import { contextFile, readContexts, writeContexts } from './context-file.js';

/** The contexts of the user who runs this. */
export class OwnContexts {
  readonly #surroundings: Surroundings;
  /** Where they are kept. */
  readonly file: string | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.file = contextFile(surroundings.env);
  }

  read(): Promise<Contexts> {
    return readContexts(this.file);
  }

  async change(change: (contexts: Contexts) => Contexts): Promise<void> {
    const { random, clock } = this.#surroundings;
    await writeContexts(this.file, change(await this.read()), random, clock.wallMs());
  }

  /**
   * The context that counts: the one of the option, else that of TOKENCTL_CONTEXT, else the current one.
   *
   * @throws {CommandFailure} for one that is named and does not exist
   */
  async chosen(option: string | undefined): Promise<Context | undefined> {
    const variable = this.#surroundings.env['TOKENCTL_CONTEXT'] ?? '';
    const contexts = await this.read();
    const name = option ?? (variable === '' ? contexts.current : variable);
    return name === undefined ? undefined : requireContext(contexts, name);
  }
}

/** @throws {CommandFailure} where there is none */
export function requireContext({ all }: Contexts, name: string): Context {
  const found = all.find((context) => context.name === name);
  if (found !== undefined) return found;
  throw usageFailure(
    `there is no context ${JSON.stringify(name)}`,
    '`tokenctl context list` shows those that there are.',
  );
}

/** The tokens that were fetched in a context; all of them where it does not say by itself who asked. */
export function tokensOf(context: Context): Dropped {
  const caller = callerOf(context);
  if (caller === undefined) return { all: true };
  const { server, prefix } = context;
  return {
    place: placeOf({ servers: serversOf(server), caller, ...(prefix === undefined ? {} : { subjectPrefix: prefix }) }),
  };
}
