import type { Command } from 'commander';
import { connectionSettings, type ConnectionSettings, type GlobalOptions } from './connection-settings.js';
import { OwnContexts } from './contexts/own-contexts.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { httpSettings, type HttpSettings } from './http-settings.js';
import { createPrinter, type Printer } from './output/printer.js';
import type { Door, Surroundings } from './surroundings.js';
import { cacheDirectory } from './token-cache/cache-place.js';
import { TokenCache } from './token-cache/token-cache.js';

/** One run of the program: what its commands share. */
export class Invocation {
  readonly surroundings: Surroundings;
  /** How the run ends where nothing throws. */
  exitCode: ExitCode = EXIT.ok;
  readonly contexts: OwnContexts;
  #settings: Promise<ConnectionSettings> | undefined;
  #httpSettings: Promise<HttpSettings | undefined> | undefined;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
    this.contexts = new OwnContexts(surroundings);
  }

  printer(command: Command): Printer {
    const { json, color, verbose } = command.optsWithGlobals<GlobalOptions>();
    return createPrinter(this.surroundings, { json: json === true, color, verbose: verbose === true });
  }

  /** Read once: a password may come from standard input. */
  settings(command: Command): Promise<ConnectionSettings> {
    return (this.#settings ??= this.#readSettings(command.optsWithGlobals<GlobalOptions>()));
  }

  /** `undefined` where NATS is the way. Read once: a token may come from standard input. */
  httpSettings(command: Command): Promise<HttpSettings | undefined> {
    return (this.#httpSettings ??= this.#readHttpSettings(command.optsWithGlobals<GlobalOptions>()));
  }

  async #readHttpSettings(options: GlobalOptions): Promise<HttpSettings | undefined> {
    return httpSettings(options, this.surroundings, await this.contexts.chosen(options.context));
  }

  async #readSettings(options: GlobalOptions): Promise<ConnectionSettings> {
    return connectionSettings(options, this.surroundings, await this.contexts.chosen(options.context));
  }

  /** This user's cache on disk, or `undefined` where the environment says of no place for it. */
  tokenCache(command: Command, ttlMs = 0): TokenCache | undefined {
    const { env, platform, clock, random, process } = this.surroundings;
    const printer = this.printer(command);
    const directory = cacheDirectory(env, platform);
    if (directory !== undefined)
      return new TokenCache({ directory, ttlMs, clock, random, process, debug: (text) => printer.debug(text) });
    printer.debug('cache: there is no place for it (HOME, XDG_CACHE_HOME and TOKENCTL_CACHE_DIR are not set)');
    return undefined;
  }

  /** Connects, works, and leaves, also when the work fails: over NATS, or over HTTP where a URL is given. */
  async throughDoor<T>(command: Command, work: (door: Door) => Promise<T>): Promise<T> {
    const http = await this.httpSettings(command);
    if (http === undefined) return this.throughNats(command, work);
    return leaving(this.surroundings.openHttpDoor(http), work);
  }

  /** The same over NATS alone. */
  async throughNats<T>(command: Command, work: (door: Door) => Promise<T>): Promise<T> {
    return leaving(await this.surroundings.openDoor(await this.settings(command)), work);
  }
}

async function leaving<T>(door: Door, work: (door: Door) => Promise<T>): Promise<T> {
  try {
    return await work(door);
  } finally {
    await door.close();
  }
}

/** Examples for the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
