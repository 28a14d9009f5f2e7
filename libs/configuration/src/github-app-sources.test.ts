import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatProblems, traitsOf } from './index.js';
import { documentOf, ec, pem, problemsOf, weak, sourceOfKind, type Settings } from './fakes/oauth2-sources.js';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const PKCS1 = privateKey.export({ format: 'pem', type: 'pkcs1' }).toString();
const BASE = { provider: 'github-app', appId: 'Iv23liCanary', appPrivateKey: PKCS1, installationId: 4711 };

const sourceOf = (change: Settings) => sourceOfKind('github-app', { ...BASE, ...change });

describe('a source of a GitHub App', () => {
  it('asks GitHub for all that the installation may, unless it says otherwise', async () => {
    const source = await sourceOf({});
    expect(source).toMatchObject({
      apiUrl: 'https://api.github.com',
      appId: 'Iv23liCanary',
      installationId: 4711,
      permissions: new Map(),
      scopes: [],
      timeoutMs: 10_000,
    });
    expect(source).not.toHaveProperty('repositories');
  });

  it.each([
    ['PKCS #1, as GitHub gives it', PKCS1],
    ['PKCS #8', pem(privateKey)],
    ['PEM with text around it', `Bag Attributes\n${PKCS1}\n`],
  ])('takes its key as %s, and shows it to nobody', async (_, appPrivateKey) => {
    const source = await sourceOf({ appPrivateKey });
    expect(source.privateKey.reveal()).toBe(appPrivateKey.replace('Bag Attributes\n', '').trim());
    expect(traitsOf(source).secrets).toEqual([source.privateKey]);
    expect(JSON.stringify(source)).not.toContain('PRIVATE KEY');
  });

  it('takes repositories by name or by number, and permissions, in whatever order', async () => {
    const one = await sourceOf({
      repositories: ['web', 'api', 'web'],
      permissions: { issues: 'write', contents: 'read' },
    });
    expect(one).toMatchObject({ repositories: { by: 'name', names: ['api', 'web'] } });
    const other = await sourceOf({ repositories: ['api', 'web'], permissions: { contents: 'read', issues: 'write' } });
    expect(traitsOf(one).recipe).toEqual(traitsOf(other).recipe);
    expect(await sourceOf({ repositoryIds: [10, '9'] })).toMatchObject({ repositories: { by: 'id', ids: [9, 10] } });
  });

  it('is one of an Enterprise Server by its URL', async () => {
    expect(await sourceOf({ apiUrl: 'https://github.example.com/api/v3/' })).toMatchObject({
      apiUrl: 'https://github.example.com/api/v3',
    });
  });

  it.each<[string, Settings, string, string]>([
    ['no app', { appId: undefined }, 'appId', 'is required'],
    ['a number of an app that is no text', { appId: 12345 }, 'appId', 'put it in quotes'],
    ['no key', { appPrivateKey: undefined }, 'appPrivateKey', 'is required'],
    ['a key of another kind', { appPrivateKey: pem(ec.privateKey) }, 'appPrivateKey', 'is not an RSA key'],
    ['a key that is too short', { appPrivateKey: pem(weak.privateKey) }, 'appPrivateKey', 'has 1024 bits'],
    ['a key that is cut', { appPrivateKey: PKCS1.slice(0, 200) }, 'appPrivateKey', 'is not a private key'],
    ['a key that is damaged', { appPrivateKey: PKCS1.replace(/\n.{64}\n/, '\n') }, 'appPrivateKey', 'does not parse'],
    ['an installation by name', { installationId: 'acme' }, 'installationId', 'a whole number'],
    ['a repository with its owner', { repositories: ['acme/web'] }, 'repositories[0]', 'without its owner'],
    ['no repository at all', { repositories: [] }, 'repositories', 'is empty'],
    ['too many repositories', { repositoryIds: Array.from({ length: 501 }, (_, i) => i + 1) }, 'repositoryIds', '500'],
    ['both kinds of names', { repositories: ['web'], repositoryIds: [1] }, 'repositoryIds', 'cannot be combined'],
    ['a permission of another level', { permissions: { contents: 'red' } }, 'permissions.contents', '"read"'],
    ['a permission of no name', { permissions: { 'a b': 'read' } }, 'permissions.a b', 'is no name of a permission'],
    ['no permission at all', { permissions: {} }, 'permissions', 'is empty'],
    ['an API in clear', { apiUrl: 'http://github.example.com' }, 'apiUrl', 'in clear'],
    ['what only other providers know', { clientId: 'x' }, 'clientId', 'unknown key'],
  ])('is refused with %s', async (_, change, path, words) => {
    const problems = await problemsOf(documentOf({ key: { ...BASE, ...change } }));
    expect(problems.map((problem) => problem.path)).toEqual([`sources.key.${path}`]);
    const printed = formatProblems(problems, 'broker.yaml');
    expect(printed).toContain(words);
    expect(printed).not.toContain(PKCS1.slice(100, 140));
  });
});
