import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const PACKAGES = ['foundation', 'protocol', 'client'];
/** What a project that uses the client has beside it; taken from here, so that no test talks to a registry. */
const BESIDE = ['zod', '@types/node', 'undici-types'];
const LONGEST_MS = 120_000;

const PROGRAM = `import { createTokenBroker, TokenBrokerError, type NatsConnectionLike, type Token } from '@token-broker/client';
import { createOperator } from '@token-broker/client/operator';

export async function bearer(connection: NatsConnectionLike): Promise<string> {
  const broker = createTokenBroker({ connection, caller: 'orders' });
  const payments = broker.source('payments-api', { scope: ['payments:read'] });
  const token: Token = payments.current ?? (await payments.get({ minTtlMs: 30_000 }));
  payments.on('revoked', ({ generation }) => console.log(generation));
  return token.accessToken;
}

if (typeof createOperator !== 'function' || new TokenBrokerError({ code: 'STALE', message: '' }).retryable !== true)
  throw new Error('what was installed does not work');
console.log('works');
`;

let folder: string;
let project: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-broker-package-'));
  project = join(folder, 'project');
  await run(process.execPath, [TSC, '-b', join(ROOT, 'libs/client')], { timeout: LONGEST_MS });
  for (const name of PACKAGES)
    await cp(join(ROOT, 'libs', name), join(folder, 'libs', name), {
      recursive: true,
      filter: (source) => !source.endsWith('node_modules'),
    });
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: join(folder, 'libs/client'),
    timeout: LONGEST_MS,
  });
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string }];
  tarball = join(folder, packed.filename);
  const installed = join(project, 'node_modules/@token-broker/client');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of BESIDE)
    await cp(join(ROOT, 'node_modules', name), join(project, 'node_modules', name), { recursive: true });
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module' }));
  await writeFile(join(project, 'program.ts'), PROGRAM);
}, LONGEST_MS);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the packed client', () => {
  it('carries the packages of this repository, and none of their sources or tests', async () => {
    const { stdout } = await run('tar', ['-tzf', tarball]);
    const files = stdout.trim().split('\n');
    for (const name of ['foundation', 'protocol'])
      expect(files).toContain(`package/node_modules/@token-broker/${name}/dist/index.js`);
    expect(files).toContain('package/dist/operator.js');
    expect(files).toContain('package/README.md');
    expect(files.filter((file) => /\/src\/|\.test\.|\/fakes\/|\.map$|tsbuildinfo/.test(file))).toEqual([]);
  });

  it('leaves nothing behind where it was packed', async () => {
    expect(await readdir(join(folder, 'libs/client'))).not.toContain('node_modules');
  });

  it(
    'type-checks in an empty project in strict mode, its declarations included, and runs',
    async () => {
      const flags = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023', '--types', 'node'];
      await run(process.execPath, [TSC, ...flags, 'program.ts'], { cwd: project, timeout: LONGEST_MS }).catch(
        (error: unknown) => {
          throw new Error((error as { stdout: string }).stdout, { cause: error });
        },
      );
      const { stdout } = await run(process.execPath, ['program.js'], { cwd: project });
      expect(stdout).toBe('works\n');
    },
    LONGEST_MS,
  );
});
