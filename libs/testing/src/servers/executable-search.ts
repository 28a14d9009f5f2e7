import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { runCommand } from './run-command.js';
import type { Executable, ServerName } from './server-place.js';

/** Where packages put servers, though not every user has these on PATH. */
const USUAL_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** Finds a server on PATH or in a usual directory of the system, and checks that it runs. */
export async function findInstalled(name: ServerName): Promise<Executable | undefined> {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...USUAL_DIRECTORIES];
  for (const directory of new Set(directories)) {
    if (directory === '') continue;
    const found: Executable = { kind: 'executable', path: join(directory, name), environment: {} };
    if (await runs(found)) return found;
  }
  return undefined;
}

/**
 * Finds a server in a directory into which its packages were unpacked, and checks that it runs: the libraries that it
 * takes from the system may have changed since.
 */
export async function findUnpacked(name: ServerName, directory: string): Promise<Executable | undefined> {
  const libraries = await libraryDirectories(directory);
  const environment =
    libraries.length === 0
      ? {}
      : {
          LD_LIBRARY_PATH: [...libraries, process.env['LD_LIBRARY_PATH'] ?? ''].filter((part) => part !== '').join(':'),
        };
  for (const folder of ['usr/bin', 'usr/sbin', 'bin', 'sbin']) {
    const found: Executable = { kind: 'executable', path: join(directory, folder, name), environment };
    if (await runs(found)) return found;
  }
  return undefined;
}

async function runs({ path, environment }: Executable): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    await runCommand(path, ['--version'], { limitMs: 10_000, environment });
    return true;
  } catch {
    return false;
  }
}

async function libraryDirectories(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true }).catch(() => []);
  return [
    ...new Set(entries.filter((path) => /\.so(\.\d+)*$/.test(path)).map((path) => join(directory, dirname(path)))),
  ];
}
