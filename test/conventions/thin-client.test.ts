import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { readManifest, readText, ROOT } from './repository.js';

/** Whatever a service takes of the client: all that it exports, but for what only the simulation is given. */
const ENTRANCES = Object.values(readManifest('libs/client').exports ?? {})
  .map((conditions) => (typeof conditions === 'string' ? conditions : (conditions['token-broker:source'] ?? '')))
  .filter((source) => !source.endsWith('/simulation.ts'))
  .map((source) => join(ROOT, 'libs/client', source));

/** Minified, without what is zod's. */
const MAX_OWN_BYTES = 100_000;

interface Locked {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly resolved?: string;
  readonly link?: boolean;
}

/** Names of all packages that `npm install` brings with these, by the lock file. */
function broughtAlongBy(names: readonly string[]): Set<string> {
  const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Record<string, Locked | undefined> };
  const found = new Set<string>();
  const look = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    const entry = packages[`node_modules/${name}`];
    const locked = entry?.link === true ? packages[entry.resolved ?? ''] : entry;
    if (locked === undefined) throw new Error(`${name} is not in the lock file`);
    const { dependencies, optionalDependencies, peerDependencies } = locked;
    Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }).forEach(look);
  };
  names.forEach(look);
  return found;
}

it('a service that installs the client gets its own libraries and zod, and no SDK of any provider', () => {
  const { dependencies = {} } = readManifest('libs/client');
  expect([...broughtAlongBy(Object.keys(dependencies))].sort()).toEqual([
    '@token-broker/foundation',
    '@token-broker/protocol',
    'zod',
  ]);
  // That the walk finds what there is: the broker has the SDKs.
  expect([...broughtAlongBy(Object.keys(readManifest('services/broker').dependencies ?? {}))]).toEqual(
    expect.arrayContaining(['@aws-sdk/client-sts', '@smithy/core', 'openid-client', 'jose']),
  );
});

it('what the client imports is in its bundle, and that is all: no SDK, and nothing to be found at run time', async () => {
  expect(ENTRANCES.length).toBeGreaterThanOrEqual(4);
  const { metafile } = await build({
    entryPoints: ENTRANCES,
    outdir: join(ROOT, 'node_modules/.cache/thin-client'),
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    conditions: ['token-broker:source'],
  });
  const owners = Object.keys(metafile.inputs).map(
    (file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? file.split('/').slice(0, 2).join('/'),
  );
  expect([...new Set(owners)].sort()).toEqual(['libs/client', 'libs/foundation', 'libs/protocol', 'zod']);
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const outside = imports.filter(({ external }) => external === true).map(({ path }) => path.replace(/^node:/, ''));
  expect(outside.filter((path) => !builtinModules.includes(path))).toEqual([]);
  const parts = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const bytesOf = (owner: string): number =>
    parts.reduce((sum, [file, { bytesInOutput }]) => sum + (file.includes(owner) ? bytesInOutput : 0), 0);
  expect(bytesOf('node_modules/zod')).toBeGreaterThan(0);
  expect(bytesOf('libs/')).toBeLessThan(MAX_OWN_BYTES);
});
