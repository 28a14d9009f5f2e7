import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleSourceConfiguration } from '@token-broker/configuration';
import { createSystemClock, ok, Redacted } from '@token-broker/foundation';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Lender, Provider } from '../../../app/ports/provider.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-provider-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const lend: Lender = (source) =>
  Promise.resolve(ok({ accessToken: new Redacted(`lent by ${source}`), tokenType: 'Bearer', remainingMs: 60_000 }));

function providerOf(
  code: string,
  { mode = 0o644, ...change }: Partial<ModuleSourceConfiguration> & { mode?: number } = {},
): Provider {
  const module = join(folder, 'own.mjs');
  writeFileSync(module, code);
  // `mode` of a write is cut by the umask.
  chmodSync(module, mode);
  const source: ModuleSourceConfiguration = {
    name: 'own',
    provider: 'module',
    module,
    options: { list: [1] },
    secrets: new Map([['key', new Redacted('canary-of-own')]]),
    takesParameters: true,
    maxLifetimeMs: 86_400_000,
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
  return createProvider(source, { clock: createSystemClock(), log: silentLog, lend });
}

it('is given its options, its secrets, what a caller asks for, and credentials of other sources', async () => {
  const provider = providerOf(`export const createProvider = ({ name, options, secrets, lend, issued }) => ({
    async fetch({ scopes, audience }) {
      const { value } = await lend('base');
      const said = [name, JSON.stringify(options), secrets.get('key').reveal(), scopes.join(), audience, value.accessToken.reveal()];
      return issued({ accessToken: said.join('|').replaceAll(' ', '_'), lifeMs: value.remainingMs });
    },
  });`);
  const end = await provider.fetch({ scopes: ['a', 'b'], audience: 'x' });
  expect(end).toMatchObject({ ok: true, value: { tokenType: 'Bearer', lifeMs: 60_000 } });
  expect(end.ok && end.value.accessToken.reveal()).toBe('own|{"list":[1]}|canary-of-own|a,b|x|lent_by_base');
});

it('cannot change the options of its source', async () => {
  const options = { list: [1] };
  const code = `export const createProvider = ({ options, refused }) => {
    options.list.push(2);
    return { fetch: async () => refused('IDP_DENIED', 'no') };
  };`;
  expect(await providerOf(code, { options }).fetch({ scopes: [] })).toMatchObject({ error: { code: 'IDP_DENIED' } });
  expect(options).toEqual({ list: [1] });
});

it.each([
  ['exports nothing of that name', 'export const create = 1;', {}, 'exports no function createProvider'],
  ['makes nothing', 'export const createProvider = () => undefined;', {}, 'made nothing that has fetch()'],
  ['does not parse', 'export const =;', {}, ''],
  [
    'throws',
    'export const createProvider = ({ secrets }) => { throw new Error(secrets.get("key").reveal()); };',
    {},
    '<redacted>',
  ],
  ['is not there', '', { module: '/nowhere/to-be-found.mjs' }, 'ENOENT'],
  ['can be written by everybody', 'export const createProvider = 1;', { mode: 0o666 }, 'everybody can write'],
])('is an outage with its reason in the log where the module %s', async (_, code, change, words) => {
  const end = await providerOf(code, change).fetch({ scopes: [] });
  expect(end).toMatchObject({
    ok: false,
    error: { code: 'IDP_UNAVAILABLE', message: "the provider's code could not be loaded" },
  });
  expect(!end.ok && end.error.detail).toContain(words);
  expect(JSON.stringify(end)).not.toContain('canary');
});

it('gets the handle back that it gave along, when what it has issued is taken back', async () => {
  const provider = providerOf(`export const createProvider = ({ issued, refused }) => ({
    async fetch() {
      return issued({ accessToken: 'token', lifeMs: 60_000, revocationHandle: 'lease-1' });
    },
    async revoke(token, { revocationHandle }) {
      const isKnown = token.reveal() === 'token' && revocationHandle?.reveal() === 'lease-1';
      return isKnown ? { ok: true, value: 'revoked' } : refused('IDP_DENIED', 'not of here');
    },
  });`);
  const end = await provider.fetch({ scopes: [] });
  if (!end.ok) throw new Error(end.error.detail);
  const { accessToken, revocationHandle } = end.value;
  expect(await provider.revoke(accessToken, revocationHandle)).toEqual({ ok: true, value: 'revoked' });
  expect(await provider.revoke(accessToken)).toMatchObject({ ok: false, error: { code: 'IDP_DENIED' } });
});
