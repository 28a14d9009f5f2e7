import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pullContainerImage } from './container-server.js';
import type { Report } from './server-place.js';

/**
 * Copies files out of a container image into `<directory>/bin`, without running anything of it.
 *
 * @param paths absolute paths in the image
 * @throws {Error} where the engine has no such image or file, or `tar` fails
 */
export async function copyFromImage(
  image: string,
  paths: readonly string[],
  directory: string,
  report: Report,
): Promise<void> {
  await pullContainerImage(image, report);
  const { getContainerRuntimeClient } = await import('testcontainers');
  const client = await getContainerRuntimeClient();
  const target = join(directory, 'bin');
  await mkdir(target, { recursive: true });
  const container = await client.container.create({ Image: image });
  try {
    for (const path of paths) await unpackTar(await client.container.fetchArchive(container, path), target);
  } finally {
    await client.container.remove(container);
  }
}

async function unpackTar(archive: NodeJS.ReadableStream, directory: string): Promise<void> {
  const tar = spawn('tar', ['-x', '-C', directory], { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = once(tar, 'close');
  await pipeline(archive, tar.stdin);
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`tar ended with code ${String(code)}`);
}
