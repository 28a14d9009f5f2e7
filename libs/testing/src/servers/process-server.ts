import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killWithThisProcess } from '../child-guard.js';
import { whenStopped } from './stopped-process.js';
import { freePort } from './free-port.js';
import {
  ServerStartError,
  type ServerHost,
  type ServerInstance,
  type ServerRecipe,
  type ServerSite,
} from './server-instance.js';
import type { Executable } from './server-place.js';

const START_LIMIT_MS = 20_000;
const POLL_MS = 5;
/** How often a start is tried while another process holds the port. */
const PORT_ATTEMPTS = 20;
const PORT_RETRY_MS = 50;
const PORT_TAKEN = /address already in use/i;

/** Runs a server as a child of this process, on loopback, with its data in a temporary directory or in `dataDirectory`. */
export async function createProcessHost(
  executable: Executable,
  recipe: ServerRecipe,
  dataDirectory: string | undefined,
): Promise<ServerHost> {
  const scratch = await mkdtemp(join(tmpdir(), 'token-broker-server-'));
  const data = dataDirectory ?? join(scratch, 'data');
  const configurationPath = join(scratch, 'server.conf');
  const logPath = join(scratch, 'server.log');
  await mkdir(data, { recursive: true });

  const siteAt = (port: number): ServerSite => ({ host: '127.0.0.1', port, directory: data });
  const writeConfiguration = (port: number): Promise<void> =>
    writeFile(configurationPath, recipe.configuration(siteAt(port)), { mode: 0o600 });

  const startOnce = async (port: number): Promise<ServerInstance> => {
    await writeConfiguration(port);
    const log = await open(logPath, 'w', 0o600);
    const child = spawn(executable.path, recipe.args(configurationPath, siteAt(port)), {
      cwd: scratch,
      env: { ...process.env, ...executable.environment },
      // A Ctrl-C in the terminal reaches our process alone, which stops its servers in the order that it wants.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => {
        resolve();
      });
      child.once('error', () => {
        resolve();
      });
    });
    killWithThisProcess(child, scratch);
    child.unref();
    await log.close();
    const pid = child.pid;
    if (pid === undefined) throw new ServerStartError(`${executable.path} cannot be executed`);
    const instance = {
      pid,
      exited,
      kill: async (signal: NodeJS.Signals): Promise<void> => {
        // A wait for the end of the child must keep this process alive.
        child.ref();
        const isSent = child.kill(signal);
        if (signal === 'SIGSTOP' && isSent && child.pid !== undefined) await whenStopped(child.pid);
      },
      log: () => readFile(logPath, 'utf8').catch(() => ''),
    };
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
    const actualPort = await waitUntilReady(recipe, instance, isRunning, executable.path);
    return { ...instance, port: port === -1 ? actualPort : port };
  };

  return {
    writeConfiguration,
    async start(port): Promise<ServerInstance> {
      for (let attempt = 1; ; attempt += 1) {
        const wanted = port ?? (recipe.portLine === undefined ? await freePort() : -1);
        try {
          return await startOnce(wanted);
        } catch (error) {
          if (attempt === PORT_ATTEMPTS || !(error instanceof Error && PORT_TAKEN.test(error.message))) throw error;
          if (port !== undefined) await sleep(PORT_RETRY_MS);
        }
      }
    },
    async clear() {
      await rm(data, { recursive: true, force: true });
      await mkdir(data, { recursive: true });
    },
    async dispose() {
      await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function waitUntilReady(
  recipe: ServerRecipe,
  instance: Omit<ServerInstance, 'port'>,
  isRunning: () => boolean,
  path: string,
): Promise<number> {
  const giveUpAtMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    const running = isRunning();
    const log = await instance.log();
    // Before the ready line is believed: a server that lost the race for its port may have logged it, and be gone.
    if (!running) throw new ServerStartError(`${path} ended while it started: ${lastLines(log)}`);
    if (recipe.readyLine.test(log)) return Number(recipe.portLine?.exec(log)?.[1] ?? Number.NaN);
    if (performance.now() > giveUpAtMs) {
      await instance.kill('SIGKILL');
      throw new ServerStartError(`${path} took no connections for ${String(START_LIMIT_MS)} ms: ${lastLines(log)}`);
    }
    await sleep(POLL_MS);
  }
}

function lastLines(log: string): string {
  return log.trim().split('\n').slice(-5).join('\n');
}
