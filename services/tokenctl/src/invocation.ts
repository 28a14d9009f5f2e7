import type { Command } from 'commander';
import { connectionSettings, type GlobalOptions } from './connection-settings.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { createPrinter, type Printer } from './output/printer.js';
import type { Door, Surroundings } from './surroundings.js';

/** One run of the program: what its commands share. */
export class Invocation {
  readonly surroundings: Surroundings;
  /** How the run ends where nothing throws. */
  exitCode: ExitCode = EXIT.ok;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  printer(command: Command): Printer {
    const { json, color } = command.optsWithGlobals<GlobalOptions>();
    return createPrinter(this.surroundings, { json: json === true, color });
  }

  /** Connects, works, and leaves, also when the work fails. */
  async throughDoor<T>(command: Command, work: (door: Door) => Promise<T>): Promise<T> {
    const settings = await connectionSettings(command.optsWithGlobals<GlobalOptions>(), this.surroundings);
    const door = await this.surroundings.openDoor(settings);
    try {
      return await work(door);
    } finally {
      await door.close();
    }
  }
}

/** Examples for the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
