import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const FOLDER = 'docs/adr/';
const PRODUCTS = [
  'libs/foundation',
  'libs/protocol',
  'libs/configuration',
  'libs/client',
  'services/broker',
  'services/tokenctl',
];

const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const records = readdirSync(new URL(FOLDER, ROOT)).filter((file) => /^\d{4}-.*\.md$/.test(file));

describe('decisions', () => {
  it('are numbered without gaps, and all of them are in the index', () => {
    expect(records.map((file) => Number(file.slice(0, 4)))).toEqual(records.map((_, index) => index + 1));
    const index = read(`${FOLDER}README.md`);
    expect(records.filter((file) => !index.includes(`(${file})`))).toEqual([]);
  });

  it.each(records)('%s says why, what, and what follows', (file) => {
    const headings = [...read(FOLDER + file).matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Context', 'Decision', 'Consequences']);
    expect(read(FOLDER + file)).toMatch(new RegExp(`^# ${file.slice(0, 4)}: `));
  });

  it('give a reason for every runtime dependency, and for no other package', () => {
    const used = PRODUCTS.flatMap((folder) => {
      const { dependencies = {} } = JSON.parse(read(`${folder}/package.json`)) as {
        dependencies?: Record<string, string>;
      };
      return Object.keys(dependencies).filter((name) => !name.startsWith('@token-broker/'));
    });
    const reasoned = [...read(`${FOLDER}0010-dependencies.md`).matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
    expect(reasoned.toSorted()).toEqual([...new Set(used)].sort());
  });
});
