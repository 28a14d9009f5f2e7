import type { Token, SourceOptions } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import type { Clock, Random } from '@token-broker/foundation';
import type { AuditRecord } from '@token-broker/protocol';
import type { ConnectionSettings } from './connection-settings.js';
import type { HttpSettings } from './http-settings.js';
import type { StreamReading } from './nats-audit-stream.js';
import type { OwnProcess } from './token-cache/fetch-lock.js';

/** A stream that is written to. */
export interface Output {
  write(text: string): void;
  readonly isTTY: boolean;
}

/** Who listens to what brokers publish. */
export interface Listener {
  message(subject: string, data: Uint8Array): void;
  /** The NATS server does not let this user hear `subject`. */
  denied(subject: string): void;
  connected(isConnected: boolean): void;
}

export interface Hearing {
  /** Rejects with a `CommandFailure` when the connection is closed for good; never resolves. */
  readonly lost: Promise<never>;
  /** Also events of this source, where those of all are denied. */
  addSource(source: string): void;
  close(): void;
}

/** An open way to the brokers. */
export interface Door {
  readonly operator: Omit<Operator, 'close'>;
  /** @param minTtlMs the least remaining life that is of use */
  get(source: string, parameters: SourceOptions, minTtlMs: number | undefined): Promise<Token>;
  /** Events of all sources, invalidations and heartbeats, as far as the NATS server lets this user. */
  hear(listener: Listener): Hearing;
  /** Whether the NATS server would let this user hear a subject. */
  mayHear(subject: string): Promise<boolean>;
  /** Whether it would let it publish there: publishes an empty message to find out. */
  mayPublish(subject: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Where a server is. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
  /** With TLS; `ca`: PEM of the authority, where the system does not know it. */
  readonly tls?: { readonly ca?: string };
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
  /** Asks for a line of text. */
  ask(question: string): Promise<string>;
  /**
   * What is on standard input, to its end or a little beyond the longest token. Where that is a terminal, the question is
   * asked on standard error, and what is typed is not shown.
   */
  readSecret(question: string): Promise<string>;
  /** The text of a file; `-` is standard input. Rejects with the error of the file system. */
  readFile(path: string): Promise<string>;
  /** The permission bits of a file. Rejects with the error of the file system. */
  modeOf(path: string): Promise<number>;
  /** Connects to a server, with TLS where it is said, and leaves; at most for `limitMs`. `undefined`: it could; else why not. */
  reach(address: NetworkAddress, limitMs: number): Promise<string | undefined>;
  /** Resolves when the person at the terminal wants a command to end that goes on by itself. */
  interrupted(): Promise<void>;
  /** Connects, within `settings.timeoutMs`. Rejects with a `CommandFailure`. */
  openDoor(settings: ConnectionSettings): Promise<Door>;
  /** The way to one broker that does without NATS. */
  openHttpDoor(settings: HttpSettings): Door;
  /** The records that a stream keeps, over a connection of its own. */
  readAuditStream(settings: ConnectionSettings, reading: StreamReading): AsyncIterable<AuditRecord>;
}
