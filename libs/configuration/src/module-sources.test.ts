import { describe, expect, it } from 'vitest';
import { formatProblems, traitsOf } from './index.js';
import { documentOf, load, problemsOf, type Settings } from './fakes/oauth2-sources.js';

const BASE = { provider: 'module', module: '/etc/token-broker/own.mjs' };

describe('a source of a module of one’s own', () => {
  it('has options as they are written, and secrets by name', async () => {
    const options = { url: 'https://x.example', list: [1, { a: null }], flag: true };
    const source = (await load(documentOf({ key: { ...BASE, options, secrets: { k: 'canary-of-own' } } }))).sources.get(
      'key',
    );
    expect(source).toMatchObject({ module: '/etc/token-broker/own.mjs', options, takesParameters: false });
    if (source === undefined) return;
    expect(traitsOf(source).secrets.map((secret) => secret.reveal())).toEqual(['canary-of-own']);
  });

  it('has one recipe in whatever order its options are written', async () => {
    const recipe = async (options: Settings) => {
      const source = (await load(documentOf({ key: { ...BASE, options } }))).sources.get('key');
      return source === undefined ? undefined : JSON.stringify(traitsOf(source).recipe);
    };
    expect(await recipe({ a: 1, b: { c: 2, d: 3 } })).toBe(await recipe({ b: { d: 3, c: 2 }, a: 1 }));
    expect(await recipe({ a: [1, 2] })).not.toBe(await recipe({ a: [2, 1] }));
  });

  it.each(['own-provider', '@acme/own-provider', '@acme/own-provider/aws.js'])(
    'may be the package %s',
    async (module) => {
      expect(await problemsOf(documentOf({ key: { ...BASE, module } }))).toEqual([]);
    },
  );

  it.each<[string, Settings, string, string]>([
    ['a relative path', { module: './own.mjs' }, 'module', 'neither an absolute path nor'],
    ['a path that climbs', { module: '@acme/own/../../x' }, 'module', 'neither an absolute path nor'],
    ['a URL', { module: 'https://x.example/own.mjs' }, 'module', 'neither an absolute path nor'],
    ['options that are a list', { options: [] }, 'options', 'expected a mapping'],
    ['an empty secret', { secrets: { k: '' } }, 'secrets.k', 'the secret is empty'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: { ...BASE, ...change } }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});
