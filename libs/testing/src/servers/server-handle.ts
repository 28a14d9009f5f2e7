import { setTimeout as sleep } from 'node:timers/promises';
import { createContainerHost } from './container-server.js';
import { createProcessHost } from './process-server.js';
import { locateServer } from './server-binaries.js';
import type { ServerHost, ServerInstance, ServerRecipe } from './server-instance.js';
import type { Report, ServerName } from './server-place.js';

/** How long a server may take to end by itself after SIGTERM, before it is killed. */
const STOP_GRACE_MS = 3_000;

/** A server that was started by this process, on 127.0.0.1, and that ends with this process at the latest. */
export interface ServerHandle {
  readonly host: string;
  readonly port: number;
  /** `nats://127.0.0.1:4222` or `redis://:password@127.0.0.1:6379`. */
  readonly url: string;
  /** The process id of the present run, or of the last one. */
  readonly pid: number;
  /** Resolves when the present run has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** All that the present run has logged so far. */
  log(): Promise<string>;
  /**
   * Sends a signal, such as `SIGSTOP`, `SIGCONT` or `SIGHUP`. After `SIGKILL` it resolves when the process is gone;
   * {@link restart} brings the server back.
   */
  kill(signal: NodeJS.Signals): Promise<void>;
  /**
   * Stops the server where it runs, and starts it again on the same port.
   *
   * @param options.keepData whether what the server wrote to disk is kept (default true). Redis writes nothing unless
   *   persistence is on.
   */
  restart(options?: { readonly keepData?: boolean }): Promise<void>;
  /** Ends the server: SIGTERM, and SIGKILL after 3 s. Removes its data. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/** What every server can be told at its start. */
export interface ServerOptions {
  /** The port to listen on. Default: one that is free. */
  readonly port?: number;
  /** Takes lines of progress where the server must be downloaded first. */
  readonly report?: Report;
}

/** A handle with what only the launcher of one kind of server needs. */
export interface StartedServer {
  readonly handle: ServerHandle;
  readonly rewriteConfiguration: () => Promise<void>;
}

export async function startServer(
  name: ServerName,
  recipe: ServerRecipe,
  urlOf: (address: string) => string,
  options: ServerOptions & { readonly dir?: string },
): Promise<StartedServer> {
  const place = await locateServer(name, options.report);
  const host =
    place.kind === 'executable'
      ? await createProcessHost(place, recipe, options.dir)
      : createContainerHost(place, recipe);
  let instance: ServerInstance;
  try {
    instance = await host.start(options.port);
  } catch (error) {
    await host.dispose();
    throw error;
  }
  return {
    handle: createHandle(host, instance, urlOf),
    rewriteConfiguration: () => host.writeConfiguration(instance.port),
  };
}

function createHandle(host: ServerHost, first: ServerInstance, urlOf: (address: string) => string): ServerHandle {
  let instance = first;
  let stopped: Promise<void> | undefined;
  const { port } = first;
  return {
    host: '127.0.0.1',
    port,
    url: urlOf(`127.0.0.1:${String(port)}`),
    get pid() {
      return instance.pid;
    },
    get exited() {
      return instance.exited;
    },
    log: () => instance.log(),
    async kill(signal) {
      await instance.kill(signal);
      if (signal === 'SIGKILL') await instance.exited;
    },
    async restart({ keepData = true } = {}) {
      if (stopped !== undefined) throw new Error('the server has been stopped for good');
      await endInstance(instance);
      if (!keepData) await host.clear();
      instance = await host.start(port);
    },
    stop() {
      stopped ??= endInstance(instance).then(() => host.dispose());
      return stopped;
    },
  };
}

async function endInstance(instance: ServerInstance): Promise<void> {
  await instance.kill('SIGTERM');
  // A stopped process takes no SIGTERM until it is continued.
  await instance.kill('SIGCONT');
  const grace = new AbortController();
  const ended = await Promise.race([
    instance.exited.then(() => true),
    sleep(STOP_GRACE_MS, false, { signal: grace.signal }),
  ]);
  grace.abort();
  if (ended) return;
  await instance.kill('SIGKILL');
  await instance.exited;
}
