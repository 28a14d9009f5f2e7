import { rmSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Below the project, so that the packages it imports are found from there. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/token-broker/', import.meta.url));

/**
 * Compiles a program and what it imports of this project into one file. A loader that compiles each file as it is imported
 * keeps the name of every function by a call whenever one is made: a simulation makes many, and takes a fifth longer.
 * Resolves to the path of the file, which goes when this process ends.
 */
export async function bundle(entry: string): Promise<string> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'simulation-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const path = join(folder, 'worker.mjs');
  await build({
    entryPoints: [entry],
    outfile: path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    conditions: ['token-broker:source'],
    sourcemap: 'inline',
    plugins: [
      {
        name: 'packages of others stay outside',
        setup: (builder) => {
          builder.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
            kind === 'entry-point' || name.startsWith('@token-broker/') ? undefined : { path: name, external: true },
          );
        },
      },
    ],
  });
  return path;
}
