import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeFiles, isTestFile, lineCount, readText, trackedFiles } from './repository.js';

const MAX_LINES = 400;
const MAX_TEST_LINES = 600;

/** Names that say nothing of what is inside, so everything ends up inside. */
const EMPTY_NAME = /^(utils?|common|helpers?|managers?|misc|shared|stuff)$/;

describe('files', () => {
  it('are seen by these conventions at all', () => {
    expect(codeFiles.length).toBeGreaterThan(20);
  });

  it('are named after the idea they hold', () => {
    const empty = codeFiles.filter((file) =>
      file.split('/').some((part) => part.split(/[.-]/).some((word) => EMPTY_NAME.test(word))),
    );
    expect(empty).toEqual([]);
  });

  it('hold one idea: no source file is longer than 400 lines, no test longer than 600', () => {
    const long = codeFiles
      .map((file) => ({ file, lines: lineCount(readText(file)) }))
      .filter(({ file, lines }) => lines > (isTestFile(file) ? MAX_TEST_LINES : MAX_LINES));
    expect(long).toEqual([]);
  });

  it('in Lua begin with a comment that says what the script does', () => {
    const silent = trackedFiles.filter((file) => file.endsWith('.lua') && !/^--\s*\S/.test(readText(file)));
    expect(silent).toEqual([]);
  });

  it('give a reason for every check they silence', () => {
    const silenced = codeFiles.flatMap((file) =>
      readText(file)
        .split('\n')
        .filter((line) => /(eslint-disable|@ts-(ignore|nocheck|expect-error))/.test(line))
        .filter((line) => !/eslint-disable\S* .*-- \S|@ts-expect-error\S* \S/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(silenced.filter((line) => !line.startsWith('test/conventions/'))).toEqual([]);
  });

  it('are tests only where vitest looks for them', () => {
    const unseen = trackedFiles
      .filter((file) => /\.(test|spec)\.[a-z]+$/.test(basename(file)))
      .filter((file) => !/^((libs|services)\/[^/]+\/src|deploy\/local\/src|test)\/.*\.test\.ts$/.test(file));
    expect(unseen).toEqual([]);
  });
});
