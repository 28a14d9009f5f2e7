import { readFileSync } from 'node:fs';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { pem, rsa } from './fakes/oauth2-sources.js';
import { configurationJsonSchema, parseConfiguration } from './index.js';

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
}

type Settings = Readonly<Record<string, unknown>>;

const certificate = await createCertificate();

/** Every setting by its path, with `<name>` for a name that the file's author chooses. */
function settingsOf(node: Node, path: readonly string[] = []): Map<string, Node> {
  const found = new Map<string, Node>();
  const add = (more: Map<string, Node>) => more.forEach((value, key) => found.set(key, value));
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    found.set([...path, key].join('.'), child);
    add(settingsOf(child, [...path, key]));
  }
  if (typeof node.additionalProperties === 'object') add(settingsOf(node.additionalProperties, [...path, '<name>']));
  if (node.items !== undefined) add(settingsOf(node.items, [...path.slice(0, -1), `${path.at(-1) ?? ''}[]`]));
  for (const option of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) add(settingsOf(option, path));
  return found;
}

const settings = settingsOf(configurationJsonSchema());

describe('the JSON Schema', () => {
  it('is committed as it is generated (else: npm run schema -w @token-broker/configuration)', () => {
    const committed: unknown = JSON.parse(readFileSync(new URL('../schema.json', import.meta.url), 'utf8'));
    expect(committed).toEqual(configurationJsonSchema());
  });

  it('describes every setting', () => {
    expect([...settings].filter(([, { description }]) => description === undefined).map(([path]) => path)).toEqual([]);
    expect(settings.size).toBeGreaterThan(60);
  });
});

describe('docs/configuration.md', () => {
  const text = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  /** Rows of its tables: path, type, default, meaning. */
  const rows = new Map(
    [...text.matchAll(/^\| `([^`|]+)` +\| ([^|]*)\| ([^|]*)\|/gm)].map(([, path = '', , value = '']) => [
      path,
      value.trim(),
    ]),
  );
  const isWithin = (inner: string, outer: string) => inner.startsWith(`${outer}.`) || inner.startsWith(`${outer}[]`);
  const paths = [...settings.keys()];
  const leaves = [...settings].filter(([path]) => !paths.some((other) => isWithin(other, path)));

  it('has a row for every setting, and none for what is no setting', () => {
    expect(leaves.map(([path]) => path).filter((path) => !rows.has(path))).toEqual([]);
    expect([...rows.keys()].filter((path) => path.includes('.') && !settings.has(path))).toEqual([]);
  });

  it('states the defaults that hold', () => {
    const defaults = leaves.filter(([, node]) => node.default !== undefined);
    expect(defaults.length).toBeGreaterThan(15);
    for (const [path, node] of defaults) expect([path, rows.get(path)]).toEqual([path, `\`${String(node.default)}\``]);
  });

  const examples = [...text.matchAll(/```yaml\n([^]*?)```/g)].map(([, example = '']) => example);
  const env = {
    TOKEN_BROKER_KEY: '0f'.repeat(32),
    PAYMENTS_CLIENT_SECRET: 's',
    // As AKS sets them in a pod.
    AZURE_TENANT_ID: '8f2a1b3c-0000-4000-8000-0123456789ab',
    AZURE_CLIENT_ID: '11111111-2222-4333-8444-555555555555',
    AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/azure/tokens/azure-identity-token',
    AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
  };
  const readFile = async (path: string) => {
    if (path.endsWith('.private-key.pem')) return { text: pem(rsa.privateKey), mode: 0o600 };
    if (!path.endsWith('.pem')) return { text: 'password', mode: 0o600 };
    return { text: path.startsWith('/etc/') ? certificate.cert : certificate.key, mode: 0o600 };
  };

  it('begins with an example that is valid, without a warning', async () => {
    expect(await parseConfiguration(examples[0] ?? '', { env, readFile })).toMatchObject({
      ok: true,
      value: { warnings: [] },
    });
  });

  it.each(examples.filter((example) => example.startsWith('sources:')))('gives valid sources:\n%s', async (example) => {
    const others = (examples[0] ?? '').replace(/^sources:[^]*/m, "callers: { orders: { sources: '*' } }\n");
    expect(await parseConfiguration(others + example, { env, readFile })).toMatchObject({
      ok: true,
      value: { warnings: [] },
    });
  });

  it('shows every grant and every client authentication, and a quota', () => {
    const parsed = examples
      .filter((example) => example.startsWith('sources:'))
      .flatMap((example) => Object.values((parse(example) as { sources: Record<string, Settings> }).sources));
    const shown = (setting: string) => new Set(parsed.map((source) => source[setting] ?? defaultOf(setting)));
    const wordsOf = (setting: string) => new Set(settings.get(`sources.<name>.${setting}`)?.enum);
    const defaultOf = (setting: string) => settings.get(`sources.<name>.${setting}`)?.default;
    for (const setting of ['grant', 'clientAuthentication']) expect(shown(setting)).toEqual(wordsOf(setting));
    expect(parsed.some(({ quota }) => quota !== undefined)).toBe(true);
  });
});
