import { access, lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encode, failure, slotOf } from '@token-broker/protocol';
import { eventually, startNats, startProgram, type NatsServer, type Program } from '@token-broker/testing';
import { connect, type Msg, type NatsConnection } from 'nats';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

/** The program as it is installed: these tests run what was built. */
const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url));
/** Nobody listens there. */
const CLOSED = 'nats://127.0.0.1:1';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let home = '';
let server: NatsServer;
let broker: NatsConnection;
/** Requests for tokens, and whether they are answered. */
let asked: Msg[] = [];
let isAnswering = true;

beforeAll(() => access(PROGRAM));
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tokenctl-home-'));
  [asked, isAnswering] = [[], true];
  server = await startNats();
  broker = await connect({ servers: server.url });
  broker.subscribe('token-broker.v1.sync.*', {
    callback: (_error, message) => message.respond(encode({ v: 1, error: failure('STORE_UNAVAILABLE', 'a fake') })),
  });
  broker.subscribe('token-broker.v1.get.*.*', {
    callback(_error, message) {
      asked.push(message);
      if (isAnswering) answer(message);
    },
  });
  await broker.flush();
});
afterEach(async () => {
  await broker.close();
  await server.stop();
  await rm(home, { recursive: true });
});

/** Another token for each request. */
function answer(message: Msg): void {
  message.respond(
    encode({
      v: 1,
      slot: slotOf('payments', {}),
      partition: 0,
      epoch: 1,
      generation: asked.length,
      asOf: 0,
      expiresInMs: 3_600_000,
      lifeMs: 3_600_000,
      atMs: 1,
      heldMs: 0,
      verified: true,
      accessToken: `token-${String(asked.length)}`,
      tokenType: 'Bearer',
    }),
  );
}

function start(args: readonly string[], url = server.url): Program {
  const unset = Object.keys(process.env).filter((name) => /^(TOKENCTL_|XDG_)/.test(name));
  const env = { ...Object.fromEntries(unset.map((name) => [name, undefined])), HOME: home, TOKENCTL_CALLER: 'ops' };
  // Many programs start here: on a machine that is busy with other things each takes seconds.
  return startProgram(PROGRAM, { args: [...args, '--timeout', '60s'], env: { ...env, TOKENCTL_SERVER: url } });
}

async function ended(program: Program): Promise<Ended> {
  const { code } = await program.exited;
  return { code, stdout: program.stdout.join('\n'), stderr: program.stderr.join('\n') };
}

const tokenctl = (...args: string[]): Promise<Ended> => ended(start(args));
const get = (...more: string[]): Promise<Ended> => tokenctl('get', 'payments', ...more);

async function filesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  return names.filter((name) => name.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

describe('the cache of the program', { timeout: 120_000 }, () => {
  it('needs no server for a token that it has, and does for another one (D2)', async () => {
    expect(await get()).toMatchObject({ code: 0, stdout: 'token-1' });
    await broker.close();
    await server.stop();
    const warm = await get('--verbose');
    expect(warm).toMatchObject({ code: 0, stdout: 'token-1' });
    expect(warm.stderr).toMatch(/^payments: Bearer, .* from the cache$/);
    expect((await get('--scope', 'read')).code).toBe(3);
    expect((await get('--no-cache')).code).toBe(3);
    expect((await tokenctl('logout')).stdout).toBe('Forgotten: 1 token on this machine.');
    expect((await get()).code).toBe(3);
  });

  it('is another one for other servers (D1)', async () => {
    await get();
    expect((await ended(start(['get', 'payments'], CLOSED))).code).toBe(3);
  });

  it('is in files of this user, below the home directory (D1)', async () => {
    await get();
    const [file = '', ...others] = await filesIn(home);
    expect(others).toEqual([]);
    expect((await lstat(file)).mode & 0o777).toBe(0o600);
    const directories = [join(file, '..'), join(file, '..', '..'), join(file, '..', '..', '..')];
    for (const directory of directories) expect((await lstat(directory)).mode & 0o777).toBe(0o700);
    expect(directories[2]).toMatch(process.platform === 'darwin' ? /Library\/Caches\/tokenctl$/ : /\.cache\/tokenctl$/);
  });

  it('makes one request of programs that start at once', async () => {
    isAnswering = false;
    const programs = [start(['get', 'payments']), start(['get', 'payments']), start(['get', 'payments'])];
    const message = await eventually(() => asked[0], { what: 'the first request', withinMs: 60_000 });
    answer(message);
    const outcomes = await Promise.all(programs.map(ended));
    expect(outcomes.map(({ code, stdout }) => ({ code, stdout }))).toEqual(
      programs.map(() => ({ code: 0, stdout: 'token-1' })),
    );
    expect(asked).toHaveLength(1);
  });

  it('does not wait for a program that was killed while it asked', async () => {
    isAnswering = false;
    const killed = start(['get', 'payments']);
    await eventually(() => asked[0], { what: 'the request', withinMs: 60_000 });
    killed.signal('SIGKILL');
    await killed.exited;
    expect(await filesIn(home)).toEqual([expect.stringMatching(/\.lock$/)]);
    isAnswering = true;
    const next = await get();
    expect(next).toMatchObject({ code: 0, stdout: 'token-2' });
    expect(await filesIn(home)).toEqual([expect.stringMatching(/\.json$/)]);
  });

  it('has no torn file, whenever a program is killed (D1)', async () => {
    isAnswering = false;
    for (let round = 1; round <= 4; round++) {
      const program = start(['get', 'payments']);
      const message = await eventually(() => asked[round - 1], { what: 'the request', withinMs: 60_000 });
      answer(message);
      // As near to the write as another process comes: just before it, or in the middle.
      if (round % 2 === 0)
        await eventually(async () => (await filesIn(home)).some((name) => name.includes('.json')), {
          what: 'a file',
          withinMs: 60_000,
          everyMs: 1,
        });
      program.signal('SIGKILL');
      await program.exited;
      for (const file of (await filesIn(home)).filter((name) => name.endsWith('.json')))
        expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ v: 1, source: 'payments' });
      await tokenctl('logout');
      expect(await filesIn(home)).toEqual([]);
    }
    isAnswering = true;
    expect((await get()).stdout).toMatch(/^token-\d+$/);
  });

  it('gives way to a revocation and to a logout that come while a token is fetched', async () => {
    isAnswering = false;
    const program = start(['get', 'payments']);
    const message = await eventually(() => asked[0], { what: 'the request', withinMs: 60_000 });
    await tokenctl('logout');
    answer(message);
    expect(await ended(program)).toMatchObject({ code: 0, stdout: 'token-1' });
    expect(await filesIn(home)).toEqual([]);
  });
});
