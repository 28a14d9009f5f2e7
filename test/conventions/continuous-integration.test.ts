import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, readManifest, readText } from './repository.js';

type Status = 'passed' | 'failed' | 'skipped' | 'pending' | 'todo';

interface FileResult {
  readonly status: 'passed' | 'failed';
  readonly tests: Readonly<Record<string, Status>>;
}

describe('the report of a test run', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'token-broker-report-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function report(file: FileResult, skipped: readonly { file: string; test: string; reason: string }[] = []) {
    const assertionResults = Object.entries(file.tests).map(([title, status]) => ({
      ancestorTitles: ['x'],
      title,
      status,
    }));
    const testResults = [{ name: join(ROOT, 'libs/x.test.ts'), status: file.status, assertionResults }];
    writeFileSync(join(folder, 'results.json'), JSON.stringify({ testResults }));
    writeFileSync(join(folder, 'skipped.json'), JSON.stringify({ skipped }));
    const script = join(ROOT, '.ci/test-report.mjs');
    const run = spawnSync(process.execPath, [script, join(folder, 'results.json'), join(folder, 'skipped.json')], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    return { exitCode: run.status, lines: run.stdout.trim().split('\n') };
  }

  it('ends with the plain counts when all is well', () => {
    const { exitCode, lines } = report({ status: 'passed', tests: { a: 'passed', b: 'passed' } });
    expect(lines.at(-1)).toBe('2 passed, 0 failed, 0 skipped');
    expect(exitCode).toBe(0);
  });

  it('fails on a skipped test that nobody committed a reason for', () => {
    for (const status of ['skipped', 'pending', 'todo'] as const) {
      const { exitCode, lines } = report({ status: 'passed', tests: { a: 'passed', b: status } });
      expect(lines).toContain('skipped: libs/x.test.ts > x b: NOT IN THE COMMITTED LIST');
      expect(lines.at(-1)).toBe('1 passed, 0 failed, 1 skipped');
      expect(exitCode).toBe(1);
    }
  });

  it('prints the reason of a skipped test that is in the list', () => {
    const listed = [{ file: 'libs/x.test.ts', test: 'x b', reason: 'needs a kernel with netem' }];
    const { exitCode, lines } = report({ status: 'passed', tests: { a: 'passed', b: 'skipped' } }, listed);
    expect(lines).toContain('skipped: libs/x.test.ts > x b: needs a kernel with netem');
    expect(exitCode).toBe(0);
  });

  it('fails on a failed test, on a file that could not run, and on a run without a test', () => {
    expect(report({ status: 'failed', tests: { a: 'failed', b: 'passed' } }).exitCode).toBe(1);
    expect(report({ status: 'failed', tests: { a: 'passed' } }).lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
    expect(report({ status: 'passed', tests: {} }).exitCode).toBe(1);
  });
});

describe('.ci/run', () => {
  const script = readText('.ci/run');

  it('can be executed, and stops at nothing half done', () => {
    expect(statSync(join(ROOT, '.ci/run')).mode & 0o111).not.toBe(0);
    expect(script).toContain('set -euo pipefail');
  });

  it('calls the command that people are told to call', () => {
    expect(script).toMatch(/\bnpm test\b/);
  });

  it('runs every part of npm run check', () => {
    const { scripts = {} } = readManifest('.');
    const parts = Object.keys(scripts).filter((name) => name.startsWith('check:'));
    expect(parts.length).toBeGreaterThanOrEqual(5);
    for (const part of parts) {
      expect(scripts['check']).toContain(`npm run ${part}`);
      expect(script).toContain(`npm run --silent ${part} `);
    }
  });
});
