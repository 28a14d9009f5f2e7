import type { Token, SourceOptions } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import type { Clock, Random } from '@token-broker/foundation';
import type { ConnectionSettings } from './connection-settings.js';
import type { OwnProcess } from './token-cache/fetch-lock.js';

/** A stream that is written to. */
export interface Output {
  write(text: string): void;
  readonly isTTY: boolean;
}

/** An open way to the brokers. */
export interface Door {
  readonly operator: Pick<Operator, 'revoke' | 'pause' | 'resume' | 'list' | 'status' | 'reload' | 'setRefreshToken'>;
  /** @param minTtlMs the least remaining life that is of use */
  get(source: string, parameters: SourceOptions, minTtlMs: number | undefined): Promise<Token>;
  close(): Promise<void>;
}

/** All that the program touches of the world: the real one in `main.ts`, made up in tests. */
export interface Surroundings {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A person can be asked: both standard input and standard error are terminals. */
  readonly interactive: boolean;
  readonly platform: NodeJS.Platform;
  readonly process: OwnProcess;
  readonly clock: Clock;
  readonly random: Random;
  /** Asks a question that is answered by yes or no. Anything but yes is no. */
  confirm(question: string): Promise<boolean>;
  /**
   * What is on standard input, to its end or a little beyond the longest token. Where that is a terminal, the question is
   * asked on standard error, and what is typed is not shown.
   */
  readSecret(question: string): Promise<string>;
  /** The text of a file; `-` is standard input. Rejects with the error of the file system. */
  readFile(path: string): Promise<string>;
  /** Connects, within `settings.timeoutMs`. Rejects with a `CommandFailure`. */
  openDoor(settings: ConnectionSettings): Promise<Door>;
}
