import { describe, expect, it } from 'vitest';
import { formatProblems, traitsOf } from './index.js';
import { documentOf, problemsOf, sourceOfKind, type Settings } from './fakes/oauth2-sources.js';

const BASE = { provider: 'static', value: 'canary of a static source' };

const sourceOf = (change: Settings) => sourceOfKind('static', { ...BASE, ...change });

describe('a static source', () => {
  it('has a value, a type and a life, and is renewed by nobody', async () => {
    const source = await sourceOf({ value: 'abc' });
    expect(source).toMatchObject({
      tokenType: 'Bearer',
      lifetimeMs: 31_536_000_000,
      refresh: { ahead: { kind: 'off' }, keepWarm: false },
      scopes: [],
      quota: [],
    });
    expect(source.value.reveal()).toBe('abc');
    expect(source).not.toHaveProperty('username');
  });

  it('may be a password of somebody, with any characters', async () => {
    const source = await sourceOf({
      tokenType: 'password',
      username: 'app',
      value: 'zwölf Boxkämpfer',
      lifetime: '1h',
    });
    expect(source).toMatchObject({ tokenType: 'password', username: 'app', lifetimeMs: 3_600_000 });
  });

  it('spells Bearer as all do', async () => {
    expect((await sourceOf({ value: 'abc', tokenType: 'bearer' })).tokenType).toBe('Bearer');
  });

  it('names its value as its one secret', async () => {
    const source = await sourceOf({ value: 'abc' });
    expect(traitsOf(source).secrets.map((secret) => secret.reveal())).toEqual(['abc']);
    expect(JSON.stringify(source)).not.toContain('abc');
  });

  it.each<[string, Settings, string, string]>([
    ['no value', { value: undefined }, 'value', 'is required'],
    ['an empty value', { value: ' ' }, 'value', 'the secret is empty'],
    ['a line break', { value: 'a\nb' }, 'value', 'control character'],
    ['a header that is none', { value: 'a b' }, 'value', 'does not fit into a header'],
    ['a value that is too long', { value: 'x'.repeat(65_537) }, 'value', 'is longer than 65536 characters'],
    ['a type of two words', { tokenType: 'a b', value: 'x' }, 'tokenType', 'is not a type'],
    ['an empty user name', { username: '', value: 'x' }, 'username', 'is empty'],
    ['a user name that is too long', { username: 'x'.repeat(257), value: 'x' }, 'username', 'is longer than 256'],
    ['a control character in a user name', { username: 'a\tb', value: 'x' }, 'username', 'control character'],
    ['a life below the minimum lifetime', { lifetime: '9s', value: 'x' }, 'lifetime', 'is too short'],
    ['what only other providers know', { clientId: 'x', value: 'x' }, 'clientId', 'unknown key'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: { ...BASE, ...change } }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});

it('a provider of a wrong name is answered with the nearest, and with all that there are', async () => {
  const problems = await problemsOf(documentOf({ key: { ...BASE, provider: 'statik' } }));
  expect(problems).toMatchObject([
    {
      path: 'sources.key.provider',
      message:
        'no such provider; one of: oauth2, static, exec, module, aws-sts, aws-rds-iam, github-app, vault, azure-workload-identity, google-workload-identity',
      hint: 'did you mean "static"?',
    },
  ]);
});
