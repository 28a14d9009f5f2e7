import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FOLDER = fileURLToPath(new URL('../../peers', import.meta.url));

/** Installs the peers, as they are locked, where that has not been done: they are no part of what a clone installs. */
export async function installPeers(progress: (text: string) => void): Promise<void> {
  if (existsSync(`${FOLDER}/node_modules`)) return;
  progress('installing the peers (npm ci)');
  await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER });
}
