import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { run } from './fakes/run.js';

const ROOT = new URL('../../../', import.meta.url);
const pages = [
  'README.md',
  ...(await readdir(new URL('docs/', ROOT))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
];

/** Every `tokenctl …` of a page, in a block or in a line of text, up to what the shell does with it. */
function shownIn(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```(?:sh|console)\n([^]*?)^ *```/gm)].flatMap(([, block = '']) =>
    block.split('\n').filter((line) => /^ *(\$ |tokenctl )/.test(line) && !line.includes('<Tab>')),
  );
  const inline = [...text.matchAll(/`(tokenctl [^`]+)`/g)].map(([, code = '']) => code);
  return [...blocks, ...inline].flatMap((line) =>
    [...line.matchAll(/\btokenctl ([^|;<>&#)]*)/g)]
      .map(([, words = '']) => words.trim())
      .filter((words) => words !== ''),
  );
}

/** What is quoted is a value, and looks like anything. */
const wordsOf = (shown: string): string[] => shown.replaceAll(/"[^"]*"|'[^']*'/g, 'value').split(/\s+/);

/** Names of the commands in a page of help. */
const commandsIn = (help: string): string[] =>
  [...(help.split('Commands:\n')[1] ?? '').matchAll(/^ {2}([a-z-]+) /gm)].map(([, name = '']) => name);

/** The commands that these words name, each with its help: `context`, and then `add`. */
async function helpOf(words: readonly string[]): Promise<{ readonly path: readonly string[]; readonly help: string }> {
  let path: readonly string[] = [];
  let help = (await run(['--help'])).stdout;
  for (const word of words) {
    const known = commandsIn(help);
    if (known.length === 0 || !/^[a-z]/.test(word)) break;
    if (!known.includes(word)) throw new Error(`there is no ${['tokenctl', ...path, word].join(' ')}`);
    path = [...path, word];
    help = (await run([...path, '--help'])).stdout;
  }
  return { path, help };
}

describe.each(pages)('what %s shows of tokenctl', (page) => {
  it('is there: each command, with each option', async () => {
    for (const shown of shownIn(await readFile(new URL(page, ROOT), 'utf8'))) {
      const words = wordsOf(shown);
      const { help } = await helpOf(words);
      for (const option of words.filter((word) => word.startsWith('-') && word !== '-'))
        expect(help, `tokenctl ${shown}`).toMatch(new RegExp(`^ +(-\\w, )?${option}(?![\\w-])`, 'm'));
    }
  });
});

it('finds what the pages show', async () => {
  const texts = await Promise.all(pages.map((page) => readFile(new URL(page, ROOT), 'utf8')));
  const shown = texts.flatMap(shownIn);
  expect(shown).toContain(
    'context add prod --server tls://nats.example.com --user ops --password-file /run/secrets/ops',
  );
  expect(shown).toContain('get payments-api --output env');
  expect(new Set(shown).size).toBeGreaterThan(50);
});
