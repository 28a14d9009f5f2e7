import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Programs that are shipped as bundles. */
export type Bundled = 'broker' | 'tokenctl';

/** Where a program lies as it is shipped. */
export function bundleOf(program: Bundled): string {
  return fileURLToPath(new URL(`../../services/${program}/bundle/`, import.meta.url));
}

/** The files of the bundle that can be imported. */
export async function bundledModules(program: Bundled): Promise<string[]> {
  const bundle = bundleOf(program);
  return (await readdir(bundle)).filter((file) => file.endsWith('.js')).map((file) => `${bundle}${file}`);
}

/** What a loaded script was made of: by its source map where it is of a bundle, itself otherwise. */
export async function sourcesOf(url: string): Promise<readonly string[]> {
  if (!url.startsWith('file:') || !/\/services\/[^/]+\/bundle\//.test(url)) return [url];
  const map = JSON.parse(await readFile(`${fileURLToPath(url)}.map`, 'utf8')) as { sources: string[] };
  return map.sources;
}

/** The package of others that a source is of, if any. */
export function packageOf(source: string): string[] {
  const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
  return name === undefined ? [] : [name];
}
