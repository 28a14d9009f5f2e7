import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CANARY, problemsOf, VALID } from './fakes/refused-documents.js';
import { formatProblems } from './index.js';

describe('a malformed document', () => {
  it.each([
    ['an open bracket', 'nats: { servers: [a\nredis: {}\n'],
    ['a tab', 'nats:\n\tservers: [a]\n'],
    ['a second document', `${stringify(VALID)}---\na: 1\n`],
    ['text after a quoted value', `nats: { password: "a" ${CANARY} }\n`],
    ['an unknown escape', `nats: { password: "\\q${CANARY}" }\n`],
    ['an unknown anchor', `nats: *${CANARY}\n`],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]\n`,
    ],
  ])('malformed YAML: %s', async (_name, text) => {
    const [first] = await problemsOf(text);
    expect(first?.message).toMatch(/^malformed YAML|alias/);
    expect(formatProblems(await problemsOf(text), 'f')).not.toContain(CANARY);
  });

  it('advises quotes where a reference breaks the YAML', async () => {
    const problems = await problemsOf('encryption: { keys: [{ id: a, secret: ${env:LEAK} }] }\n');
    expect(problems[0]?.hint).toBe('put values with ${…} in quotes');
  });

  it.each(['', '# nothing\n', 'null\n', '[]\n', 'text\n', '7\n'])(
    'refuses %j, which holds no settings',
    async (text) => {
      expect(await problemsOf(text)).not.toEqual([]);
    },
  );

  it('refuses a name that would reach the prototype of an object, and aliases that contain themselves', async () => {
    expect(await problemsOf(`${stringify(VALID)}  __proto__: { admin: true }\n`)).toMatchObject([
      { path: 'callers.__proto__', message: 'is not a possible name' },
    ]);
    expect((await problemsOf(`${stringify(VALID)}log: &a { level: *a }\n`)).map(({ path }) => path)).toEqual([
      'log.level',
    ]);
  });
});
