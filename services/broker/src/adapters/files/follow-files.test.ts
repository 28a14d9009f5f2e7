import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { followFiles, type FollowedFiles } from './follow-files.js';

let folder: string;
let followed: FollowedFiles | undefined;
let changes = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'follow-files-'));
  changes = 0;
});
afterEach(async () => {
  followed?.close();
  await rm(folder, { recursive: true, force: true });
});

const written = async (name: string, text = 'old'): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

async function follow(...paths: string[]): Promise<FollowedFiles> {
  followed = followFiles(paths, () => changes++, createSystemClock());
  await followed.started;
  return followed;
}

const changed = (times: number): Promise<boolean> =>
  eventually(() => changes >= times, { what: `${String(times)} change(s)` });

it('tells of a file that it was told of later, and once at the beginning: it may have changed before', async () => {
  const [one, two] = [await written('one'), await written('two')];
  const files = await follow(one);
  files.follow([one, two], true);
  await changed(1);
  await written('two', 'new');
  await changed(2);
  expect(changes).toBe(2);
});

it('tells no more of a file that is followed no more', async () => {
  const [one, two] = [await written('one'), await written('two')];
  const files = await follow(one, two);
  files.follow([one], true);
  await written('two', 'new');
  await written('one', 'new');
  await changed(1);
  expect(changes).toBe(1);
});

it('goes on with those of before where it is not known what there are in all', async () => {
  const [one, two] = [await written('one'), await written('two')];
  const files = await follow(one);
  files.follow([two], false);
  await changed(1);
  await written('one', 'new');
  await changed(2);
});

it('leaves a watch alone that is on the same files', async () => {
  const one = await written('one');
  const files = await follow(one);
  files.follow([one], true);
  files.follow([one], false);
  await written('one', 'new');
  await changed(1);
  expect(changes).toBe(1);
});
