import { describe, expect, it } from 'vitest';
import { readText, trackedFiles } from './repository.js';

interface SkippedTest {
  readonly file: string;
  /** The full name: the names of its describe blocks and its own, joined by a space. */
  readonly test: string;
  readonly reason: string;
}

const { skipped } = JSON.parse(readText('test/conventions/skipped.json')) as { skipped: SkippedTest[] };
const testFiles = trackedFiles.filter((file) => file.endsWith('.test.ts'));

function filesThatCall(modifier: RegExp): string[] {
  return testFiles.filter((file) => modifier.test(readText(file)));
}

describe('skipped tests', () => {
  it('are found by the patterns that look for them', () => {
    expect('it.skip(').toMatch(SKIPS);
    expect('describe.skipIf(x)(').toMatch(SKIPS);
    expect('ctx.skip()').toMatch(SKIPS);
    expect('test.concurrent.only(').toMatch(FOCUSES);
    expect('{ skip: true }').toMatch(SKIPS);
  });

  it('are in the committed list, each with its file and a reason', () => {
    for (const entry of skipped) {
      expect(testFiles).toContain(entry.file);
      expect(entry.test).not.toBe('');
      expect(entry.reason.length, `the reason of ${entry.test}`).toBeGreaterThan(20);
    }
    const listed = new Set(skipped.map(({ file }) => file));
    expect(filesThatCall(SKIPS).filter((file) => file !== THIS_FILE && !listed.has(file))).toEqual([]);
  });

  it('are not made by focusing on another test', () => {
    expect(filesThatCall(FOCUSES).filter((file) => file !== THIS_FILE)).toEqual([]);
  });
});

const THIS_FILE = 'test/conventions/skipped.test.ts';
const SKIPS =
  /\b(it|test|describe|suite|ctx|context|task)(\.\w+)*\.(skip|skipIf|runIf|todo)\b|\bx(it|describe)\(|\b(skip|todo): true\b/;
const FOCUSES = /\b(it|test|describe|suite)(\.\w+)*\.only\b|\bf(it|describe)\(|\bonly: true\b/;
