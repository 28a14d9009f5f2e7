import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode, encode, failure, LIMITS, revokeRequestSchema, slotOf, type Failure } from '@token-broker/protocol';
import { startNats, startProgram, type NatsServer } from '@token-broker/testing';
import { connect, type Msg, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The program as it is installed: these tests run what was built. */
const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const TOKEN = 'token-of-the-fake-broker';
const SLOT = slotOf('payments', {});

const CONFIGURATION = [
  'nats: { servers: ["nats://127.0.0.1:4222"], user: broker, password: "${env:P}", events: { user: broker-events, password: "${env:P}" } }',
  'redis: { url: "redis://127.0.0.1:6379/0" }',
  'encryption: { keys: [{ id: one, secret: "${env:KEY}" }] }',
  'sources:',
  '  payments: { provider: oauth2, issuer: "https://login.example.com", clientId: c, clientSecret: "${env:P}" }',
  'callers:',
  '  orders: { sources: [payments] }',
  '  ops: { sources: ["*"], admin: true }',
].join('\n');

// What one test gets, the next one is to ask for; and nobody's own contexts count.
const env = {
  TOKENCTL_CACHE_TTL: '0',
  XDG_CONFIG_HOME: join(tmpdir(), 'no-contexts-of-anybody'),
  P: 'a-password',
  KEY: Buffer.alloc(32, 7).toString('base64'),
};

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function tokenctl(args: readonly string[], added: Record<string, string> = {}, input = ''): Promise<Ended> {
  const program = startProgram(PROGRAM, { args, env: { ...env, ...added }, input });
  const { code } = await program.exited;
  return { code, stdout: program.stdout.join('\n'), stderr: program.stderr.join('\n') };
}

let folder = '';
let configuration = '';

beforeAll(async () => {
  await access(PROGRAM);
  folder = await mkdtemp(join(tmpdir(), 'tokenctl-'));
  configuration = join(folder, 'broker.yaml');
  await writeFile(configuration, CONFIGURATION);
});
afterAll(() => rm(folder, { recursive: true }));

describe('the program', () => {
  it('checks a configuration', async () => {
    expect(await tokenctl(['check', configuration])).toEqual({
      code: 0,
      stdout: `${configuration}: valid. 1 source, 2 callers, 0 warnings.`,
      stderr: '',
    });
    const broken = await tokenctl(['check', join(folder, 'none.yaml')]);
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain('none.yaml:1:1 the configuration file does not exist');
  });

  it('ends with 2 for a command that it does not know', async () => {
    const { code, stderr } = await tokenctl(['revok']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean revoke?');
  });

  it('does not ask where there is no terminal', async () => {
    const { code, stderr } = await tokenctl(['revoke', '--all', '--caller', 'ops'], {}, 'y\n');
    expect(code).toBe(2);
    expect(stderr).toContain('give --yes');
  });

  it('ends with 3 where nobody listens', async () => {
    const { code, stderr } = await tokenctl(['status', '--caller', 'ops', '--server', 'nats://127.0.0.1:1']);
    expect(code).toBe(3);
    expect(stderr).toContain('error: cannot reach NATS at nats://127.0.0.1:1: connection refused [NATS_UNAVAILABLE]');
  });
});

describe('on a NATS server with the permissions that nats-permissions prints', () => {
  let server: NatsServer;
  let broker: NatsConnection;
  const passwords = new Map<string, string>();
  /** Bodies of `get` and `refresh-token`, in order. */
  const asked: string[] = [];

  /** As much of a broker as answers: `ops` may do everything, `orders` is refused. */
  function answer(message: Msg): void {
    const [, , verb, caller, order] = message.subject.split('.');
    const refuse = (cause: Failure): boolean => message.respond(encode({ v: 1, error: cause }));
    if (verb === 'sync') refuse(failure('STORE_UNAVAILABLE', 'this broker is a fake'));
    else if (caller !== 'ops') refuse(failure('FORBIDDEN', `the caller "${caller ?? ''}" may not`));
    else if (verb === 'get') {
      asked.push(Buffer.from(message.data).toString());
      message.respond(encode(tokenReply()));
    } else if (order === 'refresh-token') {
      asked.push(Buffer.from(message.data).toString());
      message.respond(encode({ v: 1, source: 'payments', sequence: 0, replicas: 0, replaced: false }));
    } else {
      const request = decode(revokeRequestSchema, message.data, LIMITS.requestBytes);
      if (!request.ok) refuse(failure('BAD_REQUEST', request.error));
      else if ('slot' in request.value.selector) {
        // Silence: the request runs into its deadline.
      } else message.respond(encode(revokeReply(request.value.dryRun === true)));
    }
  }

  const as = (user: string, ...more: string[]): Promise<Ended> =>
    tokenctl([...more, '--server', server.url, '--user', user], { TOKENCTL_PASSWORD: passwords.get(user) ?? '' });

  beforeAll(async () => {
    const printed = await tokenctl(['nats-permissions', configuration, '--passwords', 'generate']);
    for (const [, user = '', password = ''] of printed.stdout.matchAll(/user: "(.*)"\s+password: "(.*)"/g))
      passwords.set(user, password);
    server = await startNats({ configText: printed.stdout });
    broker = await connect({ servers: server.url, user: 'broker', pass: passwords.get('broker') ?? '' });
    for (const subject of ['get.*.*', 'sync.*', 'admin.*.*'])
      broker.subscribe(`token-broker.v1.${subject}`, { callback: (_error, message) => answer(message) });
    await broker.flush();
  });
  afterAll(async () => {
    await broker.close();
    await server.stop();
  });

  it('sends tokens that it reads from standard input, to its end', async () => {
    const login = { TOKENCTL_PASSWORD: passwords.get('ops') ?? '' };
    const on = ['--server', server.url, '--user', 'ops'];
    asked.length = 0;
    const set = await tokenctl(['refresh-token', 'set', 'payments', ...on], login, `${'r'.repeat(16_000)}\n`);
    expect(set).toMatchObject({ code: 0, stderr: '' });
    expect(set.stdout).toMatch(/^Set: /);
    const got = await tokenctl(['get', 'payments', '--subject-token-stdin', ...on], login, 'subject\nactor\n');
    expect(got).toMatchObject({ code: 0, stdout: TOKEN });
    expect(asked.map((body) => JSON.parse(body) as unknown)).toEqual([
      { v: 1, source: 'payments', refreshToken: 'r'.repeat(16_000) },
      expect.objectContaining({ subjectToken: 'subject', actorToken: 'actor' }),
    ]);
  });

  it('takes no more of standard input than a token can have', async () => {
    const program = await tokenctl(['refresh-token', 'set', 'payments', '--caller', 'ops'], {}, 'x'.repeat(1_000_000));
    expect(program.code).toBe(2);
    expect(program.stderr).toContain('more than 16384 characters');
  });

  it('gets a token, alone on standard output', async () => {
    const { code, stdout, stderr } = await as('ops', 'get', 'payments');
    expect({ code, stdout }).toEqual({ code: 0, stdout: TOKEN });
    expect(stderr).toMatch(/^payments: Bearer, expires in (59|1 m)/);
  });

  it('takes the password from standard input', async () => {
    const args = ['get', 'payments', '--server', server.url, '--user', 'ops', '--password-file', '-'];
    expect(await tokenctl(args, {}, `${passwords.get('ops') ?? ''}\n`)).toMatchObject({ code: 0, stdout: TOKEN });
  });

  it('revokes', async () => {
    const { code, stdout } = await as('ops', 'revoke', '--source', 'payments', '--yes', '--reason', 'test', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(revokeReply(false));
  });

  it('ends with 4 where the broker refuses', async () => {
    const { code, stderr } = await as('orders', 'get', 'payments');
    expect(code).toBe(4);
    expect(stderr).toContain('error: the caller "orders" may not [FORBIDDEN]');
  });

  it('ends with 4 at once where the NATS server refuses the subject', async () => {
    const { code, stderr } = await as('orders', 'revoke', '--all', '--yes', '--reason', 'test', '--timeout', '60s');
    expect(code).toBe(4);
    expect(stderr).toContain('does not let this client publish to token-broker.v1.admin.orders.revoke');
  });

  it('ends with 4 where the NATS server refuses the password, and does not repeat it', async () => {
    const args = ['status', '--server', server.url, '--user', 'ops'];
    const { code, stdout, stderr } = await tokenctl(args, { TOKENCTL_PASSWORD: 'wrong-password' });
    expect(code).toBe(4);
    expect(stderr).toContain('does not let the user "ops" in [NATS_DENIED]');
    expect(stdout + stderr).not.toContain('wrong-password');
  });

  it('ends with 3 where no broker answers in time, and does not call it undone', async () => {
    const { code, stderr } = await as(
      'ops',
      'revoke',
      '--slot',
      SLOT,
      '--yes',
      '--reason',
      'test',
      '--timeout',
      '200ms',
    );
    expect(code).toBe(3);
    expect(stderr).toContain('[DEADLINE]');
    expect(stderr).toContain('may have happened or not');
  });
});

function tokenReply(): object {
  return {
    v: 1,
    slot: SLOT,
    partition: 0,
    epoch: 1,
    generation: 1,
    asOf: 0,
    expiresInMs: 60_000,
    lifeMs: 60_000,
    atMs: 1,
    heldMs: 0,
    verified: true,
    accessToken: TOKEN,
    tokenType: 'Bearer',
  };
}

function revokeReply(dryRun: boolean): object {
  return {
    v: 1,
    id: 'revocation-1',
    dryRun,
    slots: 2,
    nearCaches: 0,
    durable: true,
    broadcast: true,
    complete: true,
    brokers: { expected: 1, acked: 1 },
    tookMs: 3,
  };
}
