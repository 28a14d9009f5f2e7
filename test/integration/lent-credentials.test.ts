import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStack, type Settings, type Stack } from './stack.js';

const LENDER_LIFE_MS = 300_000;

let stack: Stack;
let folder: string;

/** A program that prints credentials of AWS, as a `credential_process` does, and notes each run. */
async function writeProgram(secret: string): Promise<void> {
  await writeFile(
    join(folder, 'lender.mjs'),
    `import { appendFileSync, readFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(join(folder, 'runs'))}, '.');
    const run = readFileSync(${JSON.stringify(join(folder, 'runs'))}, 'utf8').length;
    process.stdout.write(JSON.stringify({ Version: 1, AccessKeyId: 'ASIALENDER000000', SecretAccessKey: '${secret}',
      SessionToken: 'canary-session-' + run, Expiration: new Date(Date.now() + ${String(LENDER_LIFE_MS)}).toISOString() }));`,
  );
}

const runs = async (): Promise<number> => (await readFile(join(folder, 'runs'), 'utf8')).length;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lent-credentials-'));
  await writeFile(join(folder, 'runs'), '');
  await writeProgram('canary-secret');
  const database = (user: string): Settings => ({
    provider: 'aws-rds-iam',
    host: 'db.example.com',
    port: 5432,
    user,
    region: 'eu-central-1',
    credentials: { source: 'base' },
  });
  stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      sources: {
        base: {
          provider: 'exec',
          command: process.execPath,
          args: [join(folder, 'lender.mjs')],
          output: 'credential-process',
        },
        orders: database('orders'),
        reports: database('reports'),
      },
      // Nobody but the brokers may have what is lent.
      callers: { orders: { sources: ['orders', 'reports'] }, ops: { sources: ['*'], admin: true } },
    }),
  });
});
afterAll(async () => {
  await stack.stop();
  await rm(folder, { recursive: true });
});

it('one fetch of what is lent serves all who sign with it, and no password outlives it', async () => {
  const clients = await Promise.all(Array.from({ length: 4 }, () => stack.client('orders')));
  const handles = clients.flatMap((client) => ['orders', 'reports'].map((source) => client.source(source)));
  const tokens = await Promise.all(handles.map((handle) => handle.get()));
  expect(new Set(tokens.map(({ username }) => username))).toEqual(new Set(['orders', 'reports']));
  expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(2);
  for (const { accessToken, tokenType, username, expiresInMs } of tokens) {
    expect(tokenType).toBe('password');
    const { searchParams } = new URL(`https://${accessToken}`);
    expect(searchParams.get('DBUser')).toBe(username);
    expect(searchParams.get('X-Amz-Credential')).toContain('ASIALENDER000000/');
    expect(searchParams.get('X-Amz-Security-Token')).toBe('canary-session-1');
    // A password of AWS would be good for 15 minutes.
    expect(expiresInMs).toBeLessThanOrEqual(LENDER_LIFE_MS);
  }
  expect(await runs()).toBe(1);
});

it('K2: another configuration of who lends ends what was signed with it', async () => {
  const handle = (await stack.client('orders')).source('orders');
  const before = await handle.get();
  await stack.changeSource('base', { env: { ANY: 'other' } });
  const after = await handle.get();
  expect(after.generation).toBeGreaterThan(before.generation);
  expect(new URL(`https://${after.accessToken}`).searchParams.get('X-Amz-Security-Token')).toBe('canary-session-2');
  expect(await runs()).toBe(2);
});

it('what is lent is for those alone whose policy gives it, and no secret of it is in a log', async () => {
  const client = await stack.client('orders');
  await expect(client.source('base').get()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const lines = stack.logLines.join('\n');
  for (const canary of ['canary-secret', 'canary-session']) expect(lines).not.toContain(canary);
});
