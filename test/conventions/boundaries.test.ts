import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowedFiles, installedPackages, miniatureWorkspaces, plantedFiles, violations } from './boundary-plants.js';
import { ROOT, readManifest } from './repository.js';

const run = promisify(execFile);
const CONFIG = '.dependency-cruiser.cjs';
const DEPCRUISE = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const LONGEST_RUN_MS = 60_000;

interface Cruise {
  readonly modules: readonly {
    readonly source: string;
    readonly dependencies: readonly { readonly module: string; readonly resolved: string }[];
  }[];
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

/** Runs the check of package.json in `folder` and reads its findings. */
async function cruise(folder: string): Promise<Cruise> {
  const [command, ...args] = (readManifest('.').scripts?.['check:boundaries'] ?? '').split(/\s+/);
  expect(command).toBe('depcruise');
  const { stdout } = await run(process.execPath, [DEPCRUISE, ...args, '--output-type', 'json'], {
    cwd: folder,
    timeout: LONGEST_RUN_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as Cruise;
}

async function write(folder: string, file: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, file)), { recursive: true });
  await writeFile(join(folder, file), content);
}

/** A repository in miniature, held to the same configuration. */
async function buildMiniature(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'token-broker-boundaries-')));
  await cp(join(ROOT, CONFIG), join(folder, CONFIG));
  await cp(join(ROOT, 'tsconfig.base.json'), join(folder, 'tsconfig.base.json'));
  await write(folder, 'package.json', JSON.stringify({ type: 'module', devDependencies: { vitest: '*' } }));
  for (const name of installedPackages) {
    await write(folder, `node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    await write(folder, `node_modules/${name}/index.js`, 'module.exports = {};\n');
  }
  await mkdir(join(folder, 'node_modules/@token-broker'), { recursive: true });
  for (const [path, dependencies] of Object.entries(miniatureWorkspaces)) {
    const name = `@token-broker/${path.split('/').at(-1) ?? ''}`;
    const exports = { '.': { 'token-broker:source': './src/index.ts', default: './dist/index.js' } };
    const declared = Object.fromEntries(dependencies.map((dependency) => [dependency, '*']));
    await write(
      folder,
      `${path}/package.json`,
      JSON.stringify({ name, type: 'module', exports, dependencies: declared }),
    );
    await write(folder, `${path}/dist/index.js`, 'export const built = 1;\n');
    await symlink(join(folder, path), join(folder, 'node_modules', name));
  }
  for (const [file, content] of Object.entries({ ...allowedFiles, ...plantedFiles }))
    await write(folder, file, content);
  return folder;
}

describe('the boundary check', () => {
  let miniature: string;
  let found: Cruise;

  beforeAll(async () => {
    miniature = await buildMiniature();
    found = await cruise(miniature);
  });

  afterAll(async () => {
    await rm(miniature, { recursive: true, force: true });
  });

  it.each(violations)('reports $rule in $file', ({ rule, file }) => {
    const reported = found.summary.violations
      .filter(({ from }) => from === file)
      .map((violation) => violation.rule.name);
    expect(reported).toContain(rule);
  });

  it('has no rule without a planted violation', () => {
    const { forbidden } = createRequire(import.meta.url)(join(ROOT, CONFIG)) as { forbidden: { name: string }[] };
    const planted = new Set(violations.map(({ rule }) => rule));
    expect(forbidden.map(({ name }) => name).filter((name) => !planted.has(name))).toEqual([]);
  });

  it('allows what the design allows', () => {
    const seen = found.modules.map(({ source }) => source);
    expect(seen).toEqual(expect.arrayContaining(Object.keys(allowedFiles)));
    expect(found.summary.violations.filter(({ from }) => from in allowedFiles)).toEqual([]);
  });

  it('sees the real tree, and across the borders of its packages', async () => {
    const { modules, summary } = await cruise(ROOT);
    expect(summary.totalCruised).toBeGreaterThan(60);
    for (const part of [
      'libs/foundation',
      'libs/protocol',
      'services/broker',
      'services/tokenctl',
      'deploy/local',
      'test',
    ]) {
      expect(modules.filter(({ source }) => source.startsWith(`${part}/`)).length, part).toBeGreaterThan(0);
    }
    const crossing = modules
      .filter(({ source }) => source.startsWith('libs/protocol/'))
      .flatMap(({ dependencies }) => dependencies)
      .filter(({ module }) => module === '@token-broker/foundation');
    expect(crossing.length).toBeGreaterThan(0);
    expect(new Set(crossing.map(({ resolved }) => resolved))).toEqual(new Set(['libs/foundation/src/index.ts']));
  }, 60_000);
});
