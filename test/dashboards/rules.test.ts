import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promtool } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PROMETHEUS_DIRECTORY, readRules, ruleFiles, ruleTestFiles } from './files.js';

const LIMIT = { timeout: 60_000 };

interface RuleTest {
  readonly name: string;
  readonly promql_expr_test: readonly {
    readonly exp_samples: readonly { readonly labels: string }[];
  }[];
}

const nameOf = (file: string): string => relative(PROMETHEUS_DIRECTORY, file);
const testFiles = await ruleTestFiles();
const tests = (
  await Promise.all(testFiles.map(async (file) => parse(await readFile(file, 'utf8')) as { tests: RuleTest[] }))
).flatMap((file) => file.tests);

describe('promtool', () => {
  it('finds nothing wrong with the rules, and with the configuration that reads them', LIMIT, async () => {
    const rules = await promtool(['check', 'rules', ...(await ruleFiles())]);
    expect(rules).toMatchObject({ exitCode: 0, stderr: '' });
    const configuration = await promtool(['check', 'config', join(PROMETHEUS_DIRECTORY, 'prometheus.yml')]);
    expect(configuration).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it.each(testFiles.map((file) => [nameOf(file), file]))('sees the alerts fire as %s says', LIMIT, async (_, file) => {
    const { exitCode, stdout, stderr } = await promtool(['test', 'rules', file]);
    expect(`${stdout}${stderr}`).not.toMatch(/FAILED/);
    expect(exitCode).toBe(0);
  });
});

describe('the tests of the alerts', () => {
  /** In each test, which alerts fire at each moment that is looked at. */
  const firing = tests.map(({ promql_expr_test: looks }) =>
    looks.map(({ exp_samples: samples }) =>
      samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1] ?? '').join(' '),
    ),
  );

  it('see every alert fire, and be silent before or after in the same test', async () => {
    for (const { alert = '' } of (await readRules()).filter((rule) => rule.alert !== undefined)) {
      const own = firing.filter((looks) => looks.includes(alert));
      expect(own.length, `${alert} fires`).toBeGreaterThan(0);
      expect(
        own.some((looks) => looks.includes('')),
        `${alert} is silent`,
      ).toBe(true);
    }
  });

  it('see what is like a fault, and is none', () => {
    expect(firing.filter((looks) => looks.every((names) => names === '')).length).toBeGreaterThan(5);
  });
});
