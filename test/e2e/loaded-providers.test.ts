import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSecurityTokenService, type SecurityTokenService } from '@token-broker/testing/aws';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask } from '../integration/asking.js';
import { startStack, type Stack } from '../integration/stack.js';
import { packageOf, sourcesOf } from './bundled-sources.js';
import { startBrokerProcess } from './broker-process.js';
import { sourceOfKind, type Kind } from './loading/source-of-kind.js';

let sts: SecurityTokenService;
let stack: Stack;

beforeAll(async () => {
  sts = await startSecurityTokenService();
  stack = await startStack({ brokers: 0 });
});
afterAll(async () => {
  await stack.stop();
  await sts.stop();
});

/** The packages of which a broker with sources of these kinds alone has loaded code, when each has given out a credential. */
async function loadedWith(...kinds: readonly Kind[]): Promise<string[]> {
  await stack.rewrite((settings) => ({
    ...settings,
    sources: Object.fromEntries(kinds.map((kind) => [kind, sourceOfKind(kind, stack.idp, sts)])),
    callers: { orders: { sources: '*' } },
  }));
  // V8's own list of the scripts that it has compiled: it misses no way to load code.
  const folder = await mkdtemp(join(tmpdir(), 'loaded-providers-'));
  const { program } = await startBrokerProcess(stack.configurationPath, { env: { NODE_V8_COVERAGE: folder } });
  try {
    const orders = await stack.connectAs('orders');
    for (const kind of kinds) expect((await ask(orders, 'orders', kind)).accessToken).not.toBe('');
    expect(await program.stop(20_000)).toMatchObject({ code: 0 });
    const files = await readdir(folder);
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
    const urls = texts.flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result);
    const sources = await Promise.all(urls.map(({ url }) => sourcesOf(url)));
    return [...new Set(sources.flat().flatMap(packageOf))].sort();
  } finally {
    await program.stop();
    await rm(folder, { recursive: true });
  }
}

/** Clients of upstreams, and what they are made of. */
const isSdk = (name: string): boolean =>
  /^(@aws|@aws-sdk|@smithy)\/|^(openid-client|oauth4webapi|jose|undici)$/.test(name);

it('a broker loads no SDK where its sources need none', async () => {
  const loaded = await loadedWith('static');
  expect(loaded).toEqual(expect.arrayContaining(['nats', 'ioredis', 'pino']));
  expect(loaded.filter(isSdk)).toEqual([]);
}, 60_000);

it('it loads that of OAuth 2.0 where a source uses it, and none of AWS', async () => {
  const sdks = (await loadedWith('static', 'oauth2')).filter(isSdk);
  expect(sdks).toEqual(expect.arrayContaining(['openid-client', 'undici']));
  expect(sdks.filter((name) => name.startsWith('@'))).toEqual([]);
}, 60_000);

it('it loads of AWS what its sources use, and no more', async () => {
  const signing = (await loadedWith('aws-rds-iam')).filter(isSdk);
  expect(signing).toContain('@aws-sdk/rds-signer');
  expect(signing).not.toContain('@aws-sdk/client-sts');
  const sts = (await loadedWith('aws-sts')).filter(isSdk);
  expect(sts).toContain('@aws-sdk/client-sts');
  expect(sts).not.toContain('@aws-sdk/rds-signer');
  expect([...signing, ...sts]).not.toContain('openid-client');
}, 90_000);
