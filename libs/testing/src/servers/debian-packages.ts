import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './run-command.js';
import type { Report, ServerName } from './server-place.js';

/** A slow mirror may take its time; a dead one must not hold up a test run for ever. */
const DOWNLOAD_LIMIT_MS = 300_000;

/**
 * Gets a Debian or Ubuntu package, with those of its dependencies that this machine lacks, and unpacks them into
 * `directory`. Needs no root, changes nothing of the system's own state, and starts no service: the package lists and
 * archives are kept in `scratch`, and no script of a package runs.
 *
 * @throws {CommandError} where the package manager fails
 */
export async function unpackDebianPackage(
  name: ServerName,
  directory: string,
  scratch: string,
  report: Report,
): Promise<void> {
  await mkdir(join(scratch, 'lists', 'partial'), { recursive: true });
  await mkdir(join(scratch, 'cache', 'archives', 'partial'), { recursive: true });
  await mkdir(directory, { recursive: true });
  const configuration = join(scratch, 'apt.conf');
  await writeFile(configuration, aptConfiguration(scratch));
  const apt = (...args: string[]): Promise<string> =>
    runCommand('apt-get', ['-q', '-y', `--config-file=${configuration}`, ...args], {
      limitMs: DOWNLOAD_LIMIT_MS,
      environment: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    });

  report(`${name}: reading the package lists`);
  // One broken source among many does not matter where the others have the package: what counts is the next step.
  const updateFailure = await apt('update').then(
    () => undefined,
    (error: unknown) => error,
  );
  report(`${name}: downloading the package`);
  await apt('install', '--download-only', '--no-install-recommends', name).catch((error: unknown) => {
    throw updateFailure ?? error;
  });

  const archives = join(scratch, 'cache', 'archives');
  const packages = (await readdir(archives)).filter((file) => file.endsWith('.deb'));
  for (const file of packages) {
    await runCommand('dpkg-deb', ['--extract', join(archives, file), directory], { limitMs: 60_000 });
  }
}

function aptConfiguration(scratch: string): string {
  const setting = (key: string, value: string): string => `${key} "${value}";`;
  return [
    // What the system runs after an update is meant for the system's own lists, and may need root.
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Post-Invoke;',
    '#clear DPkg::Pre-Install-Pkgs;',
    setting('Dir::State::Lists', join(scratch, 'lists')),
    setting('Dir::Cache', join(scratch, 'cache')),
    setting('Dir::Cache::archives', 'archives'),
    setting('Debug::NoLocking', '1'),
    // Root would otherwise hand the download to a user who cannot write here.
    ...(process.getuid?.() === 0 ? [setting('APT::Sandbox::User', 'root')] : []),
    setting('Acquire::Retries', '2'),
    setting('Acquire::Languages', 'none'),
    setting('APT::Get::AllowUnauthenticated', 'false'),
    '',
  ].join('\n');
}
