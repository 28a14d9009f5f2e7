import { eventually } from '../eventually.js';
import { natsAuthorization, type NatsUser } from './nats-configuration.js';
import { startServer, type ServerHandle, type ServerOptions } from './server-handle.js';
import type { ServerRecipe } from './server-instance.js';

/** How to start a NATS server. */
export interface NatsOptions extends ServerOptions {
  /** Who may log in, and what they may do. Default: anyone, anything. */
  readonly users?: readonly NatsUser[];
  /** Further lines of the configuration file, as they are; without `listen`, `port`, `log_file`, `authorization`. */
  readonly configText?: string;
}

/** A NATS server that was started by this process. */
export interface NatsServer extends ServerHandle {
  /** Changes who may log in, without a restart: those who may not any more are disconnected. */
  setUsers(users: readonly NatsUser[]): Promise<void>;
}

/**
 * Starts a NATS server on a free port of 127.0.0.1 and waits until it takes connections.
 *
 * @throws {ServerUnavailableError} where there is none, and none can be got
 * @throws {ServerStartError} where it refuses its configuration
 */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  let { users } = options;
  const recipe: ServerRecipe = {
    containerPort: 4222,
    readyLine: /Server is ready/,
    portLine: /Listening for client connections on \S*:(\d+)/,
    args: (configurationPath) => ['--config', configurationPath],
    configuration: ({ host, port }) =>
      [
        `host: "${host}"`,
        `port: ${String(port)}`,
        ...(users === undefined ? [] : [natsAuthorization(users)]),
        options.configText ?? '',
        '',
      ].join('\n'),
  };
  const { handle, rewriteConfiguration } = await startServer('nats-server', recipe, (at) => `nats://${at}`, options);
  const setUsers = async (newUsers: readonly NatsUser[]): Promise<void> => {
    const before = (await handle.log()).length;
    users = newUsers;
    await rewriteConfiguration();
    await handle.kill('SIGHUP');
    const outcome = await eventually(
      async () => /Reloaded server configuration|Failed to reload.*/.exec((await handle.log()).slice(before))?.[0],
      { what: 'the NATS server to read its configuration again' },
    );
    if (outcome.startsWith('Failed')) throw new Error(`the NATS server keeps its users: ${outcome}`);
  };
  return Object.assign(handle, { setUsers });
}
