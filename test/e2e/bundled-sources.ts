import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Where the broker's program lies as it is shipped. */
export const BUNDLE = fileURLToPath(new URL('../../services/broker/bundle/', import.meta.url));

/** The files of the bundle that can be imported. */
export async function bundledModules(): Promise<string[]> {
  return (await readdir(BUNDLE)).filter((file) => file.endsWith('.js')).map((file) => `${BUNDLE}${file}`);
}

/** What a loaded script was made of: by its source map where it is of the bundle, itself otherwise. */
export async function sourcesOf(url: string): Promise<readonly string[]> {
  if (!url.startsWith('file:') || !fileURLToPath(url).startsWith(BUNDLE)) return [url];
  const map = JSON.parse(await readFile(`${fileURLToPath(url)}.map`, 'utf8')) as { sources: string[] };
  return map.sources;
}

/** The package of others that a source is of, if any. */
export function packageOf(source: string): string[] {
  const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
  return name === undefined ? [] : [name];
}
