import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, readManifest, readText, trackedFiles, workspaces } from './repository.js';

const root = readManifest('.');
const namesOfWorkspaces = new Set(workspaces.map(({ manifest }) => manifest.name));

interface LockedPackage {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

function lockedPackages(): Record<string, LockedPackage> {
  return (JSON.parse(readText('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages;
}

describe('packages', () => {
  it('are all known here', () => {
    expect(workspaces.map(({ folder }) => folder)).toEqual(
      expect.arrayContaining([
        'libs/foundation',
        'libs/protocol',
        'libs/client',
        'services/broker',
        'deploy/local',
        'test',
      ]),
    );
  });

  it.each([{ folder: '.', manifest: root }, ...workspaces])(
    '$manifest.name says what it is, under which licence, and on which Node it runs',
    ({ manifest }) => {
      expect(manifest.license).toBe('Apache-2.0');
      expect(manifest.engines).toEqual({ node: '>=20.19' });
      expect(manifest.description ?? '').toMatch(/^.{20,}[.]$/);
      expect(manifest.type).toBe('module');
      expect(manifest.version).toBe(root.version);
    },
  );

  it.each(workspaces.filter(({ manifest }) => manifest.exports !== undefined))(
    '$manifest.name offers its source to tests, types to compilers and a build to everybody',
    ({ folder, manifest }) => {
      for (const conditions of Object.values(manifest.exports ?? {})) {
        // A data file has one form only.
        if (typeof conditions === 'string') continue;
        const source = conditions['token-broker:source'] ?? '';
        // What only the simulation needs is no part of the build.
        if (source === './src/simulation.ts') {
          expect(conditions).toEqual({ 'token-broker:source': source, types: source });
          continue;
        }
        // The first condition that matches wins, so the order is part of the contract.
        expect(Object.keys(conditions)).toEqual(['token-broker:source', 'types', 'default']);
        if (!source.includes('*')) expect(existsSync(join(ROOT, folder, source)), source).toBe(true);
      }
    },
  );

  it.each(workspaces)('$manifest.name pins its peers of this repository to the one version', ({ manifest }) => {
    const peers = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(([name]) =>
      namesOfWorkspaces.has(name),
    );
    for (const [name, version] of peers) expect(version, name).toBe(root.version);
  });

  it('are all built by the root project', () => {
    const { references } = JSON.parse(readText('tsconfig.json')) as { references: { path: string }[] };
    const buildable = workspaces
      .map(({ folder }) => folder)
      .filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json')));
    expect(references.map(({ path }) => path).sort()).toEqual(buildable.sort());
  });

  it('are built after the packages they declare', () => {
    const folderOf = new Map(workspaces.map(({ folder, manifest }) => [manifest.name, folder]));
    for (const { folder, manifest } of workspaces.filter(({ folder }) => /^(libs|services|deploy)\//.test(folder))) {
      const { references = [] } = JSON.parse(readText(`${folder}/tsconfig.json`)) as {
        references?: { path: string }[];
      };
      const declared = Object.keys(manifest.dependencies ?? {}).flatMap((name) => folderOf.get(name) ?? []);
      expect(references.map(({ path }) => join(folder, path)).sort(), folder).toEqual(declared.sort());
    }
  });

  it('are locked by name and checksum, not by the host they were downloaded from', () => {
    const locked = Object.entries(lockedPackages());
    expect(locked.length).toBeGreaterThan(100);
    const hosts = locked.filter(([, { resolved, link }]) => resolved !== undefined && link !== true);
    expect(hosts).toEqual([]);
    expect(readText('.npmrc')).toContain('omit-lockfile-registry-resolved=true');
  });

  it('are locked completely, with the optional parts of other platforms: `npm ci` refuses a lock with a gap', () => {
    const locked = lockedPackages();
    const names = new Set(Object.keys(locked).map((path) => path.split('node_modules/').at(-1)));
    const gaps = Object.entries(locked).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !names.has(name))
        .map((name) => `${path} needs ${name}`),
    );
    expect(gaps).toEqual([]);
  });

  it('carry nothing that was built', () => {
    expect(trackedFiles.filter((file) => /(^|\/)(dist|node_modules)\/|\.tsbuildinfo$|\.tgz$/.test(file))).toEqual([]);
  });
});
