import { describe, expect, it } from 'vitest';
import { formatProblems, traitsOf } from './index.js';
import { documentOf, load, problemsOf, type Settings } from './fakes/oauth2-sources.js';

const BASE = { provider: 'exec', command: '/usr/local/bin/login', output: 'exec-credential' };

describe('a source that runs a program', () => {
  it('has arguments one by one, and an environment whose values are secrets', async () => {
    const text = documentOf({ key: { ...BASE, args: ['a b', '--c'], env: { KEY: 'canary-of-a-variable' } } });
    const source = (await load(text)).sources.get('key');
    expect(source).toMatchObject({
      command: '/usr/local/bin/login',
      args: ['a b', '--c'],
      output: 'exec-credential',
      timeoutMs: 10_000,
      lockTimeMs: 12_000,
      defaultLifetimeMs: 300_000,
      refresh: { ahead: { kind: 'fraction', fraction: 0.2 } },
    });
    if (source === undefined) return;
    expect(traitsOf(source).secrets.map((secret) => secret.reveal())).toEqual(['canary-of-a-variable']);
    expect(JSON.stringify([source, ...(source.provider === 'exec' ? source.env : [])])).not.toContain('canary');
  });

  it.each<[string, Settings, string, string]>([
    ['a command that is searched for', { command: 'login' }, 'command', 'is no absolute path'],
    ['arguments in the command', { command: 'login --now' }, 'command', 'arguments go into args'],
    ['arguments that are text', { args: '--now' }, 'args', 'expected a list'],
    ['too many arguments', { args: Array.from({ length: 65 }, () => 'x') }, 'args', 'at most 64'],
    ['a variable of no name', { env: { 'A-B': 'x' } }, 'env.A-B', 'is no name of a variable'],
    ['a variable that loads code', { env: { LD_PRELOAD: '/x.so' } }, 'env.LD_PRELOAD', 'by nobody'],
    ['an empty variable', { env: { KEY: '' } }, 'env.KEY', 'the secret is empty'],
    ['no output', { output: undefined }, 'output', 'is required'],
    ['an output of another name', { output: 'exec-credentials' }, 'output', 'did you mean "exec-credential"?'],
    ['a lock that ends before the program', { timeout: '5s', lockTime: '5s' }, 'lockTime', 'is not above timeout'],
    [
      'a quota by the calendar beside withoutRedis: fetch',
      { withoutRedis: 'fetch', quota: { limit: 1, window: 'day' } },
      'withoutRedis',
      'cannot be fetch',
    ],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: { ...BASE, ...change } }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});
