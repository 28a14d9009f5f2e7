import { backoffMs, delay, within, type Clock } from '@token-broker/foundation';
import type { NatsConfiguration, NatsCredentials } from '@token-broker/configuration';
import { inboxPrefixOf } from '@token-broker/protocol';
import { connect, Events, type NatsConnection, type Status } from 'nats';
import type { Log } from '../../app/ports/telemetry.js';
import { connectionOptions } from './connection-options.js';

/** The pause between two attempts to connect at all; an established connection is restored by the driver. */
const ATTEMPTS = { firstMs: 500, maxMs: 5_000 };

/** How long `close` waits for the server to take what was published. */
const CLOSE_FLUSH_MS = 1_000;

/** What {@link connectNats} needs beside the configuration. */
export interface NatsLinkOptions {
  /** Name of the connection, as the server's monitoring shows it. */
  readonly name: string;
  /** Under which the replies to our own requests arrive. Default: `_INBOX.` and the user, or the name where there is none. */
  readonly inboxPrefix?: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * One connection to NATS, wished for from the start and never given up: before the server can be reached, while it is
 * away, and also when the driver itself has closed the connection for good.
 */
export interface NatsLink {
  isConnected(): boolean;
  /** Calls back on each change of {@link NatsLink.isConnected}. */
  onConnectionChange(handle: (connected: boolean) => void): void;
  /** The driver's connection, once there was one. It may be away at the moment. */
  current(): NatsConnection | undefined;
  /**
   * Calls back with the driver's connection: at once where there is one, and again with each that replaces it. The driver
   * restores subscriptions over a reconnect by itself. Returns what ends these calls.
   */
  eachConnection(attach: (connection: NatsConnection) => void): () => void;
  /** Sends what was published, at most for 1 s, and leaves. */
  close(): Promise<void>;
}

/**
 * Begins to connect and returns at once, so that the process starts while NATS is away. Each failed attempt is logged
 * with its reason; that is why the first connection is tried here and not by the driver, which waits without a word.
 */
export function connectNats(
  configuration: NatsConfiguration,
  credentials: NatsCredentials,
  options: NatsLinkOptions,
): NatsLink {
  const { name, clock, log } = options;
  const inboxPrefix = options.inboxPrefix ?? inboxPrefixOf(credentials.kind === 'user' ? credentials.user : name);
  const driverOptions = connectionOptions(configuration, credentials, { name, inboxPrefix });
  const changeHandlers: ((connected: boolean) => void)[] = [];
  const attachments = new Set<(connection: NatsConnection) => void>();
  const leaving = new AbortController();
  const left = (): boolean => leaving.signal.aborted;
  let current: NatsConnection | undefined;
  let connected = false;

  const changeTo = (now: boolean): void => {
    if (connected === now) return;
    connected = now;
    for (const handle of changeHandlers) guarded(() => handle(now));
  };

  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      log.error('a handler of the NATS connection failed', { connection: name, detail: textOf(error) });
    }
  };

  const watch = async (connection: NatsConnection): Promise<void> => {
    for await (const status of connection.status()) {
      if (connection !== current) return;
      const { type } = status;
      if (type === Events.Disconnect) {
        if (!left()) log.warn('the connection to NATS is lost', { connection: name });
        changeTo(false);
      } else if (type === Events.Reconnect) {
        log.info('connected to NATS again', { connection: name, server: connection.getServer() });
        changeTo(true);
      } else if (type === Events.Error) logError(status);
      else if (type === Events.LDM) log.info('the NATS server is about to leave', { connection: name });
    }
  };

  const logError = ({ data, permissionContext: refused }: Status): void => {
    if (refused !== undefined) {
      const { operation, subject } = refused;
      log.error('NATS refused a permission', { connection: name, operation, subject });
    } else log.error('NATS reported an error', { connection: name, detail: textOf(data) });
  };

  const keepConnected = async (): Promise<void> => {
    for (let failures = 0; !left();) {
      try {
        const connection = await connect(driverOptions());
        failures = 0;
        if (left()) {
          await connection.close();
          return;
        }
        current = connection;
        void watch(connection);
        log.info('connected to NATS', { connection: name, server: connection.getServer() });
        for (const attach of attachments) guarded(() => attach(connection));
        changeTo(true);
        const why = await connection.closed();
        changeTo(false);
        if (!left()) log.error('the connection to NATS was closed', { connection: name, detail: textOf(why) });
      } catch (error) {
        failures += 1;
        log.error('cannot connect to NATS', { connection: name, detail: textOf(error) });
      }
      await delay(clock, backoffMs(ATTEMPTS, failures, 1), leaving.signal);
    }
  };

  const running = keepConnected();
  return {
    isConnected: () => connected,
    onConnectionChange: (handle) => void changeHandlers.push(handle),
    current: () => current,
    eachConnection(attach) {
      attachments.add(attach);
      if (current !== undefined && !current.isClosed()) attach(current);
      return () => void attachments.delete(attach);
    },
    async close() {
      if (current !== undefined && connected) await flushWithin(current, clock, CLOSE_FLUSH_MS);
      leaving.abort();
      await current?.close();
      await running;
    },
  };
}

/** `true` when the server has taken everything published so far; `false` after `limitMs`, or when it is away. */
export async function flushWithin(connection: NatsConnection, clock: Clock, limitMs: number): Promise<boolean> {
  try {
    return (await within(clock, limitMs, connection.flush())).inTime;
  } catch {
    // The driver rejects a flush whose connection went away: what was published before may be lost.
    return false;
  }
}

/** A thrown or reported thing as a text for the log. */
export function textOf(thing: unknown): string {
  if (thing instanceof Error) return thing.message;
  return typeof thing === 'string' ? thing : 'no reason was given';
}
