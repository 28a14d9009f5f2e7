import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { eventually } from '@token-broker/testing';
import { startSecurityTokenService, STS_REGION, STS_USER, type SecurityTokenService } from '@token-broker/testing/aws';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startStack, type Settings, type Stack } from '../integration/stack.js';
import { environmentOf, TOKENCTL, tokenctlAs } from '../integration/tokenctl.js';

/** AWS SDKs ask for others when their credentials have less life left than this. */
const SDK_ASKS_AGAIN_MS = 300_000;

let sts: SecurityTokenService;
let stack: Stack;
let folder: string;

beforeAll(async () => {
  sts = await startSecurityTokenService();
  folder = await mkdtemp(join(tmpdir(), 'aws-credential-process-'));
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      sources: {
        ...(settings['sources'] as Settings),
        'orders-aws': {
          provider: 'aws-sts',
          region: STS_REGION,
          endpoint: sts.url,
          allowInsecureHttp: true,
          roleArn: 'arn:aws:iam::123456789012:role/orders',
          credentials: STS_USER,
        },
      },
      callers: {
        orders: { sources: ['payments-api', 'orders-aws'] },
        ops: { sources: ['*'], admin: true },
      },
    }),
  });
  // As `~/.aws/config` of whoever has the program on the path.
  const profile = (name: string, source: string): string =>
    `[profile ${name}]\nregion = ${STS_REGION}\ncredential_process = "${process.execPath}" "${TOKENCTL}" get ${source} --output aws-credential-process\n`;
  await writeFile(join(folder, 'config'), profile('orders', 'orders-aws') + profile('mistaken', 'payments-api'));
});
afterAll(async () => {
  await stack.stop();
  await sts.stop();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  // Wherever else an SDK would look on the machine of whoever runs the tests.
  const elsewhere = ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN', 'WEB_IDENTITY_TOKEN_FILE'].concat(
    ['RELATIVE_URI', 'FULL_URI'].map((name) => `CONTAINER_CREDENTIALS_${name}`),
  );
  for (const name of elsewhere) vi.stubEnv(`AWS_${name}`, undefined);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  const files = { AWS_CONFIG_FILE: join(folder, 'config'), AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none') };
  for (const [name, value] of Object.entries({ ...environmentOf('orders', stack), ...files })) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
});

/** A client of AWS that knows nothing but the name of a profile. */
function clientOf(profile: string): STSClient {
  const client = new STSClient({ profile, endpoint: sts.url, maxAttempts: 1 });
  onTestFinished(() => {
    client.destroy();
  });
  return client;
}

describe('an AWS SDK with `credential_process = tokenctl get … --output aws-credential-process`', () => {
  it('signs requests that AWS accepts, with what the brokers have fetched once', async () => {
    const identities = await Promise.all(
      ['orders', 'orders'].map((profile) => clientOf(profile).send(new GetCallerIdentityCommand({}))),
    );
    for (const { Arn } of identities)
      expect(Arn).toBe('arn:aws:sts::123456789012:assumed-role/orders/token-broker-orders-aws');
    expect(sts.asked.map((fields) => fields['Action'])).toEqual([
      'AssumeRole',
      'GetCallerIdentity',
      'GetCallerIdentity',
    ]);
    expect(sts.calls()).toBe(sts.asked.length);
  });

  it('is told the end of the credential, never a later one', async () => {
    const { accessKeyId, expiration } = await clientOf('orders').config.credentials();
    const endsAtMs = sts.keys.get(accessKeyId)?.endsAtMs ?? 0;
    expect(expiration?.getTime()).toBeLessThanOrEqual(endsAtMs);
    expect(expiration?.getTime()).toBeGreaterThan(endsAtMs - 60_000);
  });

  it('asks again when five minutes are left, and signs with the credential that counts then', async () => {
    const operator = await stack.operator();
    const revoke = () => operator.revoke({ selector: { source: 'orders-aws' }, reason: 'test' });
    sts.will({ does: 'issue', lifeMs: SDK_ASKS_AGAIN_MS - 60_000 });
    await revoke();
    const client = clientOf('orders');
    const first = await client.config.credentials();
    await revoke();
    sts.keys.delete(first.accessKeyId);
    // It goes on with what it has, and has the program run beside it.
    await eventually(async () => (await client.config.credentials()).accessKeyId !== first.accessKeyId, {
      what: 'the SDK to have the next credential',
      withinMs: 15_000,
    });
    await client.send(new GetCallerIdentityCommand({}));
  });

  it('is refused by AWS where it signs with what has ended: the check is one', async () => {
    const client = clientOf('orders');
    const { accessKeyId } = await client.config.credentials();
    const known = sts.keys.get(accessKeyId);
    if (known === undefined) throw new Error('the endpoint does not know what it has issued');
    sts.keys.set(accessKeyId, { ...known, endsAtMs: 1 });
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({ name: 'ExpiredToken' });
    sts.keys.set(accessKeyId, { ...known, secretAccessKey: 'another' });
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
    });
    sts.keys.set(accessKeyId, known);
    await client.send(new GetCallerIdentityCommand({}));
  });

  it('has no credentials where the source gives none of AWS, and asks AWS nothing', async () => {
    const calls = sts.calls();
    await expect(clientOf('mistaken').send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'CredentialsProviderError',
    });
    expect(sts.calls()).toBe(calls);
  });
});

it('credentials of AWS are no header, and it is said what to do instead', async () => {
  const run = await tokenctlAs('orders', stack, ['get', 'orders-aws', '--output', 'header']);
  expect(run).toMatchObject({ code: 2, out: '' });
  expect(run.err).toContain('does not go into an Authorization header: its type is aws-credentials');
  expect(run.err).toContain('--output aws-credential-process');
});

it('the secret of the user who assumes the role is in no log', () => {
  const lines = stack.logLines.join('\n');
  expect(lines).not.toContain(STS_USER.secretAccessKey);
  expect(lines).not.toContain('canary/secret');
});
