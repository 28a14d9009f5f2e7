import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startScriptedIdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ask } from './asking.js';
import { startStack, type Settings, type Stack } from './stack.js';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const CLIENT = { tenantId: 'example.onmicrosoft.com', clientId: '11111111-2222-4333-8444-555555555555' };

let stack: Stack;
let clouds: ScriptedIdentityProvider;
let connection: NatsConnection;
let folder: string;
let issued = 0;
/** In place of the next tokens of Microsoft Entra ID. */
let refusal: ScriptedReply | undefined;

function answer({ path, headers, text }: ScriptedRequest): ScriptedReply {
  const token = `canary-token-${String(++issued)}`;
  if (path === `/${CLIENT.tenantId}/oauth2/v2.0/token`)
    return refusal ?? { body: { token_type: 'Bearer', access_token: token, expires_in: 3_599 } };
  if (path === '/v1/token')
    return {
      body: { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 3_599 },
    };
  const isKnown = headers.authorization?.startsWith('Bearer canary-token-') === true;
  if (!path.endsWith(':generateAccessToken') || !isKnown || !text.includes('"lifetime":"3600s"'))
    return { status: 400, body: { error: { code: 400, status: 'INVALID_ARGUMENT', message: 'no' } } };
  // Far off: as long as it was asked for is what counts.
  return { body: { accessToken: token, expireTime: '2999-01-01T00:00:00Z' } };
}

/** As it is done in Kubernetes: another file takes the place of the one before. */
async function putToken(text: string): Promise<void> {
  const [file, next] = [join(folder, 'token'), join(folder, 'token.next')];
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, file);
}

const ofEntra = (scope: string): ScriptedRequest[] => clouds.requests.filter(({ form }) => form['scope'] === scope);

const azure = (scope: string): Settings => ({
  provider: 'azure-workload-identity',
  ...CLIENT,
  federatedTokenFile: join(folder, 'token'),
  authority: clouds.issuer,
  allowInsecureHttp: true,
  scope,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'workload-identity-'));
  await putToken('canary-assertion-1');
  await writeFile(join(folder, 'google.json'), '{"id_token":"canary-subject"}', { mode: 0o600 });
  clouds = await startScriptedIdentityProvider(answer);
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      sources: {
        vault: azure('https://vault.example.com/.default'),
        storage: azure('https://storage.example.com/.default'),
        warehouse: {
          provider: 'google-workload-identity',
          workloadIdentityProvider: 'projects/1/locations/global/workloadIdentityPools/pool/providers/main',
          subjectTokenFile: join(folder, 'google.json'),
          subjectTokenField: 'id_token',
          serviceAccount: 'warehouse@example-project.iam.gserviceaccount.com',
          stsEndpoint: `${clouds.issuer}/v1/token`,
          iamCredentialsEndpoint: clouds.issuer,
          allowInsecureHttp: true,
        },
        archive: {
          provider: 'google-workload-identity',
          workloadIdentityProvider: 'projects/1/locations/global/workloadIdentityPools/pool/providers/login',
          subjectTokenSource: 'login',
          stsEndpoint: `${clouds.issuer}/v1/token`,
          allowInsecureHttp: true,
        },
        login: { provider: 'static', value: 'canary-of-login' },
      },
      // Nobody but the brokers may have what is lent.
      callers: {
        orders: { sources: ['vault', 'storage', 'warehouse', 'archive'] },
        ops: { sources: ['*'], admin: true },
      },
    }),
  });
  connection = await stack.connectAs('orders');
});
afterEach(() => {
  refusal = undefined;
});
afterAll(async () => {
  await stack.stop();
  await clouds.stop();
  await rm(folder, { recursive: true });
});

/** So often that every replica has been asked. */
const askAll = (source: string): Promise<Set<string>> =>
  Promise.all(Array.from({ length: 12 }, () => ask(connection, 'orders', source))).then(
    (replies) => new Set(replies.map(({ accessToken }) => accessToken)),
  );

it('one fetch by the token of the workload serves all callers of all replicas', async () => {
  expect((await askAll('vault')).size).toBe(1);
  expect(ofEntra('https://vault.example.com/.default').map(({ form }) => form['client_assertion'])).toEqual([
    'canary-assertion-1',
  ]);
});

it('the two calls for a service account of Google are one fetch, too', async () => {
  expect((await askAll('warehouse')).size).toBe(1);
  const paths = clouds.requests.map(({ path }) => path);
  expect(paths.filter((path) => path === '/v1/token')).toHaveLength(1);
  expect(paths.filter((path) => path.endsWith(':generateAccessToken'))).toHaveLength(1);
});

it('the token of another source is exchanged in place of a file’s, and that of its next configuration after it', async () => {
  const exchanged = (): (string | undefined)[] =>
    clouds.requests
      .filter(({ form }) => form['audience']?.endsWith('/login') === true)
      .map(({ form }) => form['subject_token']);
  const before = await askAll('archive');
  expect([before.size, exchanged()]).toEqual([1, ['canary-of-login']]);
  await stack.changeSource('login', { value: 'canary-of-another-login' });
  const after = await askAll('archive');
  expect([after.size, exchanged()]).toEqual([1, ['canary-of-login', 'canary-of-another-login']]);
  expect([...after]).not.toEqual([...before]);
});

it('what is fetched after a revocation is asked for by the token that the file holds then', async () => {
  await putToken('canary-assertion-2');
  await (await stack.operator()).revoke({ selector: { source: 'vault' }, wait: true, reason: 'a test' });
  expect((await askAll('vault')).size).toBe(1);
  expect(ofEntra('https://vault.example.com/.default').map(({ form }) => form['client_assertion'])).toEqual([
    'canary-assertion-1',
    'canary-assertion-2',
  ]);
});

it('K2: another resource is another token', async () => {
  const before = await ask(connection, 'orders', 'vault');
  await stack.changeSource('vault', { scope: 'https://other.example.com/.default' });
  const after = await askAll('vault');
  expect(after.size).toBe(1);
  expect(after).not.toContain(before.accessToken);
  expect(ofEntra('https://other.example.com/.default')).toHaveLength(1);
});

it('a throttle pauses all sources of the application on all replicas, and nobody else', async () => {
  refusal = { status: 429, headers: { 'retry-after': '60' }, body: 'Too Many Requests' };
  await expect(ask(connection, 'orders', 'storage')).rejects.toThrow('QUOTA_EXHAUSTED');
  refusal = undefined;
  await stack.changeSource('vault', { scope: 'https://third.example.com/.default' });
  for (const source of ['storage', 'vault'])
    for (let i = 0; i < 6; i++) await expect(ask(connection, 'orders', source)).rejects.toThrow('QUOTA_EXHAUSTED');
  expect(ofEntra('https://storage.example.com/.default')).toHaveLength(1);
  expect(ofEntra('https://third.example.com/.default')).toHaveLength(0);
  await (await stack.operator()).revoke({ selector: { source: 'warehouse' }, wait: true, reason: 'a test' });
  expect((await askAll('warehouse')).size).toBe(1);
});

it('neither a token nor what the workload is known by is in a log', () => {
  const lines = stack.logLines.join('\n');
  expect(lines).toContain('Too Many Requests');
  expect(lines).not.toContain('canary');
});
