import { ESLint } from 'eslint';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, codeFiles, workspaces } from './repository.js';

const eslint = new ESLint({ cwd: ROOT });

type Rules = Record<string, [severity: number, ...options: unknown[]] | undefined>;

async function rulesFor(file: string): Promise<Rules> {
  const config = (await eslint.calculateConfigForFile(join(ROOT, file))) as { rules: Rules };
  return config.rules;
}

/** The ids of the rules that `code` breaks when it stands in `file`. */
async function broken(code: string, file: string): Promise<string[]> {
  const results = await eslint.lintText(code, { filePath: join(ROOT, file) });
  return results.flatMap(({ messages }) => messages.map(({ ruleId, message }) => ruleId ?? message));
}

const CLOCK_RULES = [
  'no-restricted-globals',
  'no-restricted-properties',
  'no-restricted-imports',
  'no-restricted-syntax',
] as const;

describe('the linter', () => {
  it('sees every file of code', async () => {
    expect(codeFiles.length).toBeGreaterThan(20);
    const ignored = await Promise.all(codeFiles.map((file) => eslint.isPathIgnored(join(ROOT, file))));
    expect(codeFiles.filter((_, index) => ignored[index])).toEqual([]);
  });

  it.each(workspaces.filter(({ folder }) => /^(libs\/(?!testing)|services\/)/.test(folder)))(
    "keeps the machine's time and randomness out of $folder, and checks it with types",
    async ({ folder }) => {
      const rules = await rulesFor(`${folder}/src/index.ts`);
      for (const rule of CLOCK_RULES) expect(rules[rule]?.[0], rule).toBe(2);
      expect(rules['@typescript-eslint/no-floating-promises']?.[0]).toBe(2);
      expect(rules['@typescript-eslint/no-explicit-any']?.[0]).toBe(2);
    },
  );

  it("lets only the adapters of time and randomness reach the machine's own", async () => {
    const exempt = await Promise.all(
      codeFiles
        .filter((file) => /^(libs|services)\/.*\.ts$/.test(file) && !file.startsWith('libs/testing/'))
        .map(async (file) => ({ file, rules: await rulesFor(file) })),
    );
    const free = exempt
      .filter(({ rules }) => CLOCK_RULES.some((rule) => rules[rule]?.[0] !== 2))
      .map(({ file }) => file);
    expect(
      free.filter((file) => !/^libs\/foundation\/src\/system-|^services\/[^/]+\/src\/main\.ts$/.test(file)),
    ).toEqual([]);
  });

  it.each([
    ['Date.now()', 'no-restricted-properties'],
    ['new Date()', 'no-restricted-syntax'],
    ['performance.now()', 'no-restricted-properties'],
    ['process.hrtime.bigint()', 'no-restricted-properties'],
    ['setTimeout(() => undefined, 1)', 'no-restricted-globals'],
    ['setInterval(() => undefined, 1)', 'no-restricted-globals'],
    ['setImmediate(() => undefined)', 'no-restricted-globals'],
    ['globalThis.setTimeout(() => undefined, 1)', 'no-restricted-properties'],
    ['AbortSignal.timeout(1)', 'no-restricted-properties'],
    ['Math.random()', 'no-restricted-properties'],
    ['crypto.randomUUID()', 'no-restricted-properties'],
  ])('refuses %s in the product', async (expression, rule) => {
    expect(await broken(`export const planted = ${expression};\n`, 'libs/protocol/src/index.ts')).toContain(rule);
  });

  it.each([
    ["import { randomBytes } from 'node:crypto';\nexport const planted = randomBytes(1);\n"],
    ["import { setTimeout } from 'node:timers/promises';\nexport const planted = setTimeout(1);\n"],
    ["import { performance } from 'node:perf_hooks';\nexport const planted = performance.now();\n"],
  ])('refuses %j in the product', async (code) => {
    expect(await broken(code, 'libs/protocol/src/index.ts')).toContain('no-restricted-imports');
  });

  it('lets a time that is given be made into a date', async () => {
    expect(await broken('export const fine = new Date(0).toISOString();\n', 'libs/protocol/src/index.ts')).toEqual([]);
  });

  it('refuses blind waits in tests, also in those of adapters', async () => {
    const file = 'test/conventions/linting.test.ts';
    expect(await broken('export const planted = setTimeout(() => undefined, 1);\n', file)).toContain(
      'no-restricted-globals',
    );
    expect(await broken('export function sleep(): void {}\n', file)).toContain('no-restricted-syntax');
    const rules = await rulesFor('libs/testing/src/planted.test.ts');
    for (const rule of CLOCK_RULES) expect(rules[rule]?.[0], rule).toBe(2);
  });

  it('knows types: a promise that nobody awaits is refused', async () => {
    const code = 'export function planted(work: () => Promise<void>): void {\n  work();\n}\n';
    expect(await broken(code, 'libs/protocol/src/index.ts')).toContain('@typescript-eslint/no-floating-promises');
  });
});
