import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runTokenctl } from './program.js';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real program where nothing can be connected to and nobody can be asked. */
async function run(
  args: readonly string[],
  { env }: { readonly env: Readonly<Record<string, string>> },
): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const never = (what: string) => (): Promise<never> => Promise.reject(new Error(`${what} is not for this command`));
  const refuse = (): never => {
    throw new Error('a connection is not for this command');
  };
  const code = await runTokenctl(args, {
    stdout: { write: (text) => void (stdout += text), isTTY: false },
    stderr: { write: (text) => void (stderr += text), isTTY: false },
    env,
    interactive: false,
    platform: 'linux',
    process: { id: 1, host: 'this-machine', isRunning: () => false },
    clock: new VirtualClock(),
    random: systemRandom,
    confirm: never('a question'),
    ask: never('a question'),
    readSecret: never('a secret'),
    readFile: never('a password'),
    modeOf: never('a file'),
    reach: never('a server'),
    interrupted: never('an interruption'),
    openDoor: never('a connection'),
    openHttpDoor: refuse,
    readAuditStream: refuse,
  });
  return { code, stdout, stderr };
}

describe('check and nats-permissions', () => {
  let folder = '';
  const text = [
    'nats: { servers: ["nats://127.0.0.1:4222"], user: broker, password: "${env:P}", events: { user: broker-events, password: "${env:P}" } }',
    'redis: { url: "redis://127.0.0.1:6379/0" }',
    'encryption: { keys: [{ id: one, secret: "${env:KEY}" }] }',
    'sources:',
    '  payments: { provider: oauth2, issuer: "https://login.example.com", clientId: c, clientSecret: "${env:P}" }',
    'callers:',
    '  orders-api: { sources: [payments] }',
    '  orders_api: {}',
    '  ops: { admin: true }',
  ];
  const [P, KEY] = ['a-password-of-the-configuration', Buffer.alloc(32, 7).toString('base64')];
  const write = async (name: string, lines: readonly string[]): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, lines.join('\n'));
    return path;
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenctl-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('finds a good file good, without any login', async () => {
    const path = await write('good.yaml', text);
    const outcome = await run(['check', path], { env: { P, KEY } });
    expect(outcome.stderr).toBe('');
    expect(outcome).toMatchObject({
      code: 0,
      stdout: `${path}: valid. 1 source, 3 callers, 0 warnings.\n`,
    });
  });

  it('prints warnings with their place', async () => {
    const path = await write('warned.yaml', [...text.slice(0, 6), '  ops: { admin: true }']);
    const outcome = await run(['check', path], { env: { P, KEY } });
    expect(outcome.code).toBe(0);
    expect(outcome.stderr).toContain(`warning: ${path}:5:`);
    const json = await run(['check', path, '--json'], { env: { P, KEY } });
    expect(JSON.parse(json.stdout)).toMatchObject({ valid: true, warnings: [{ line: 5 }] });
  });

  it('prints every problem with its place, and ends with 2', async () => {
    const path = await write('bad.yaml', [...text, 'colour: blue', 'http: 5']);
    const outcome = await run(['check', path], { env: { P } });
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(
      /bad\.yaml:3:\d+ encryption\.keys\[0\]\.secret: the environment variable KEY is not set/,
    );
    expect(outcome.stderr).toMatch(/bad\.yaml:10:1 colour: unknown key/);
    expect(outcome.stderr).toMatch(/bad\.yaml:11:\d+ http: /);
    expect(outcome.stderr).not.toContain(P);
    const json = await run(['check', path, '--json'], { env: { P } });
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'CONFIGURATION', problems: { length: 3 } } });
  });

  it('prints NATS users whose passwords the server takes from its environment', async () => {
    const path = await write('good.yaml', text);
    const { code, stdout } = await run(['nats-permissions', path], { env: { P, KEY } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^authorization \{\n/);
    expect(stdout).toContain('user: "orders-api"\n      password: $NATS_PASSWORD_ORDERS_API\n');
    expect(stdout).toContain('user: "orders_api"\n      password: $NATS_PASSWORD_ORDERS_API_2\n');
    expect(stdout).toContain('"token-broker.v1.get.orders-api.payments"');
    expect(stdout).not.toContain(P);
  });

  it('prints them as JSON, with a new password for each', async () => {
    const path = await write('good.yaml', text);
    const args = ['nats-permissions', path, '--format', 'json', '--passwords', 'generate'];
    const { stdout, stderr } = await run(args, { env: { P, KEY } });
    const { users } = JSON.parse(stdout) as {
      users: { user: string; password: string; permissions: { publish: { allow: string[] } } }[];
    };
    expect(users.map(({ user }) => user)).toEqual(['broker', 'broker-events', 'orders-api', 'orders_api', 'ops']);
    expect(new Set(users.map(({ password }) => password)).size).toBe(5);
    for (const { password } of users) expect(password).toMatch(/^p[\w-]{32}$/);
    expect(users.at(-1)?.permissions.publish.allow).toContain('token-broker.v1.admin.ops.*');
    expect(stderr).toContain('keep it secret');
  });
});
