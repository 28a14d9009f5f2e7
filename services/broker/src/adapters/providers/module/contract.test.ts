import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleSourceConfiguration, SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import type { ScriptedReply } from '@token-broker/testing';
import { onTestFinished } from 'vitest';
import { startScript } from '../fakes/oauth2-bed.js';
import { itKeepsTheContract, type Behaviour, type ContractBed } from '../fakes/contract/provider-contract.js';

const KEY = 'canary-of-a-module';
const LIFE_MS = 3_600_000;

/** The example of the documentation, word for word. */
function exampleOfTheDocumentation(): string {
  const page = readFileSync(new URL('../../../../../../docs/providers.md', import.meta.url), 'utf8');
  const [, example] = /```js\n([^]*?)```/.exec(page) ?? [];
  if (example === undefined) throw new Error('docs/providers.md has no example');
  return example;
}

async function start(): Promise<ContractBed> {
  let behaviour: Behaviour = { does: 'issue' };
  let calls = 0;
  const takenBack: string[] = [];
  const upstream = await startScript(({ path, method, headers }) => {
    if (headers.authorization !== `Bearer ${KEY}`) return { status: 401 };
    if (method !== 'DELETE') return replyOf(behaviour, ++calls);
    takenBack.push(path.slice('/passwords/'.length));
    return {};
  });
  const folder = mkdtempSync(join(tmpdir(), 'module-provider-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const module = join(folder, 'vending.mjs');
  writeFileSync(module, exampleOfTheDocumentation(), { mode: 0o644 });
  const source: ModuleSourceConfiguration = {
    name: 'orders-db',
    provider: 'module',
    module,
    options: { url: upstream.issuer },
    secrets: new Map([['apiKey', new Redacted(KEY)]]),
    takesParameters: false,
    maxLifetimeMs: 86_400_000,
    scopes: [],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
  };
  return {
    source,
    takenBack,
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
  };
}

function replyOf(behaviour: Behaviour, call: number): ScriptedReply {
  const body = { user: 'orders', password: `canary-of-a-password-${String(call)}` };
  switch (behaviour.does) {
    case 'issue':
      return { body: { ...body, seconds: (behaviour.lifeMs ?? LIFE_MS) / 1_000 } };
    case 'deny':
      return { status: 403, body: KEY };
    case 'throttle':
      return { status: 429, headers: { 'retry-after': String(behaviour.pauseMs / 1_000) } };
    case 'break':
      return { body, fault: 'reset-mid-body' };
    case 'babble':
      return { body: `<html>${KEY}</html>` };
    case 'hang':
      return { fault: 'hang' };
  }
}

const having =
  (change: Partial<ModuleSourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as ModuleSourceConfiguration), ...change });

itKeepsTheContract('a module of one’s own', {
  start,
  tokenType: 'password',
  username: 'orders',
  changes: {
    module: having({ module: '/etc/other.mjs' }),
    option: having({ options: { url: 'https://other.example.com' } }),
    'option inside an option': having({ options: { url: 'https://other.example.com', more: { a: [1] } } }),
    secret: having({ secrets: new Map([['apiKey', new Redacted('other')]]) }),
  },
  sameTokens: {
    timeout: having({ timeoutMs: 1, lockTimeMs: 2 }),
    'bound of lives': having({ maxLifetimeMs: 60_000 }),
    'word on parameters': having({ takesParameters: true }),
  },
});
