import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '@token-broker/foundation';
import { eventually, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchFiles, type FileWatch } from './watch-files.js';

let folder: string;
let watching: FileWatch | undefined;
let changes: (readonly string[])[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-files-'));
  changes = [];
});
afterEach(async () => {
  watching?.close();
  await rm(folder, { recursive: true, force: true });
});

async function watchThem(...paths: string[]): Promise<void> {
  watching = watchFiles(paths, (changed) => changes.push(changed), createSystemClock());
  await watching.started;
}

const changed = (times = 1): Promise<boolean> =>
  eventually(() => changes.length >= times, { what: `${String(times)} reported change(s)` });

describe('watchFiles', () => {
  it('reports a file that was written in place, once, and again the next time', async () => {
    const path = join(folder, 'broker.yaml');
    await writeFile(path, 'a: 1');
    await watchThem(path);
    await writeFile(path, 'a: 2');
    await changed();
    await writeFile(path, 'a: 3');
    await changed(2);
    expect(changes).toEqual([[path], [path]]);
  });

  it('names only what changed, and gathers changes that come together', async () => {
    const paths = ['broker.yaml', 'secret', 'other'].map((name) => join(folder, name));
    for (const path of paths) await writeFile(path, 'old');
    await watchThem(...paths);
    await Promise.all(paths.slice(0, 2).map((path) => writeFile(path, 'new')));
    await changed();
    expect(changes).toEqual([paths.slice(0, 2)]);
  });

  it('reports a file that an editor has replaced by a rename, each time', async () => {
    const path = join(folder, 'broker.yaml');
    await writeFile(path, '0');
    await watchThem(path);
    for (const round of [1, 2, 3]) {
      await writeFile(`${path}.tmp`, String(round));
      await rename(`${path}.tmp`, path);
      await changed(round);
    }
    expect(changes).toHaveLength(3);
  });

  it('reports the swap of a link to a folder, as Kubernetes updates a mounted secret, each time', async () => {
    const publish = async (version: string, text: string): Promise<void> => {
      await mkdir(join(folder, version));
      await writeFile(join(folder, version, 'password'), text);
      await symlink(version, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    };
    await publish('..v1', 'one');
    const path = join(folder, 'password');
    await symlink(join('..data', 'password'), path);
    await watchThem(path);
    await publish('..v2', 'two');
    await changed();
    await rm(join(folder, '..v1'), { recursive: true });
    await publish('..v3', 'three');
    await changed(2);
    expect(changes).toEqual([[path], [path]]);
  });

  it('reports a change in place of the file that a link leads to, in whatever folder', async () => {
    await mkdir(join(folder, 'elsewhere'));
    const target = join(folder, 'elsewhere', 'broker.yaml');
    await writeFile(target, '1');
    await mkdir(join(folder, 'named'));
    const path = join(folder, 'named', 'broker.yaml');
    await symlink(target, path);
    await watchThem(path);
    await writeFile(target, '2');
    await changed();
    expect(changes).toEqual([[path]]);
  });

  it('reports a file that appears and one that vanishes', async () => {
    const path = join(folder, 'late');
    await watchThem(path);
    await writeFile(path, 'here');
    await changed();
    await rm(path);
    await changed(2);
  });

  it('reports nothing when a file is written anew with the same contents, or another file changes', async () => {
    const path = join(folder, 'broker.yaml');
    const witness = join(folder, 'witness');
    await writeFile(path, 'same');
    await writeFile(witness, 'old');
    await watchThem(path, witness);
    await writeFile(join(folder, 'unwatched'), 'x');
    await writeFile(path, 'same');
    await writeFile(witness, 'new');
    await changed();
    expect(changes).toEqual([[witness]]);
  });

  it('finds a change without any notice from the file system', async () => {
    const clock = new VirtualClock();
    const path = join(folder, 'not-yet', 'broker.yaml');
    watching = watchFiles([path], (paths) => changes.push(paths), clock);
    await watching.started;
    await mkdir(join(folder, 'not-yet'));
    await writeFile(path, 'here');
    expect(changes).toEqual([]);
    await clock.advance(30_000);
    await changed();
    expect(changes).toEqual([[path]]);
  });

  it('is silent after it was closed, and leaves no timer behind', async () => {
    const clock = new VirtualClock();
    const path = join(folder, 'broker.yaml');
    await writeFile(path, '1');
    watching = watchFiles([path], (paths) => changes.push(paths), clock);
    await watching.started;
    watching.close();
    expect(clock.pendingTimers).toBe(0);

    // A second watch proves that the change was there to be noticed.
    await watchThem(join(folder, 'witness'));
    await writeFile(path, '2');
    await writeFile(join(folder, 'witness'), 'here');
    await changed();
    await clock.advance(60_000);
    expect(changes).toEqual([[join(folder, 'witness')]]);
  });
});
