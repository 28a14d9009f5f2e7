import { chmod, lstat, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AuditLine } from '../../app/ports/audit.js';
import { AuditFile } from './audit-file.js';

let folder = '';
let path = '';
let file: AuditFile;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-file-'));
  path = join(folder, 'audit.jsonl');
  file = new AuditFile(path);
});
afterEach(async () => {
  await file.close();
  await rm(folder, { recursive: true });
});

function line(id: string): AuditLine {
  const record = { audit: 1, id, at: '2026-11-05T12:34:56.789Z', broker: 'b1', event: 'audit.gap', by: 'b1' } as const;
  return { record, text: JSON.stringify(record) };
}

async function idsIn(of: string): Promise<string[]> {
  const lines = (await readFile(of, 'utf8')).split('\n').filter((text) => text !== '');
  return lines.map((text) => (text.startsWith('{"audit"') && text.endsWith('}') ? idOf(text) : 'torn'));
}

function idOf(text: string): string {
  return (JSON.parse(text) as { id: string }).id;
}

it('is made for this user alone, and appended to', async () => {
  await file.deliver([line('a'), line('b')], true);
  await file.deliver([line('c')], false);
  expect(await idsIn(path)).toEqual(['a', 'b', 'c']);
  expect((await lstat(path)).mode & 0o777).toBe(0o600);
  await file.close();
  file = new AuditFile(path);
  await file.deliver([line('d')], true);
  expect(await idsIn(path)).toEqual(['a', 'b', 'c', 'd']);
});

it('keeps the rights that somebody gave it', async () => {
  await writeFile(path, '');
  await chmod(path, 0o640);
  await file.deliver([line('a')], true);
  expect((await lstat(path)).mode & 0o777).toBe(0o640);
});

it('begins a new file where the old one was moved away, or removed', async () => {
  await file.deliver([line('a')], true);
  await rename(path, `${path}.1`);
  await file.deliver([line('b')], true);
  await rm(path);
  await file.deliver([line('c')], true);
  expect([await idsIn(`${path}.1`), await idsIn(path)]).toEqual([['a'], ['c']]);
});

it('opens the file anew when it is told to', async () => {
  await file.deliver([line('a')], true);
  file.reopen();
  await file.deliver([line('b')], true);
  expect(await idsIn(path)).toEqual(['a', 'b']);
});

it('writes no record onto the half of another that a crash has left', async () => {
  await writeFile(path, `${line('a').text}\n{"audit":1,"id":"cut`);
  await file.deliver([line('b')], true);
  expect(await idsIn(path)).toEqual(['a', 'torn', 'b']);
});

it('rejects where the disk takes nothing', async () => {
  file = new AuditFile('/dev/full');
  await expect(file.deliver([line('a')], true)).rejects.toThrow(/ENOSPC/);
});

it('says at once what no waiting would mend', async () => {
  expect(await file.problem()).toBeUndefined();
  expect(await new AuditFile(join(folder, 'nowhere', 'audit.jsonl')).problem()).toContain('cannot be opened (ENOENT)');
  expect(await new AuditFile(folder).problem()).toContain('cannot be opened (EISDIR)');
});
