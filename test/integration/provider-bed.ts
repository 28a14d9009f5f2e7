import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '@token-broker/foundation';
import { startScriptedIdentityProvider, type ScriptedIdentityProvider } from '@token-broker/testing';
import { startSecurityTokenService, STS_REGION, STS_USER, type SecurityTokenService } from '@token-broker/testing/aws';
import { metricValue, startStack, type Settings, type Stack } from './stack.js';

const clock = createSystemClock();
/** Of the machine that the source `vending` asks. */
export const VENDING_KEYS = ['canary-of-vending', 'canary-of-vending-rotated'] as const;

/**
 * A stack with a source of each kind but `oauth2`: `aws` (aws-sts), `rds` (signed by `aws`), `program` (exec), `vending` (the example of
 * the documentation, of kind module) and `key` (static). `warm` is as `aws`, and kept warm.
 */
export interface ProviderBed {
  readonly stack: Stack;
  readonly sts: SecurityTokenService;
  /** How its upstreams answer from now on. */
  readonly vending: {
    /** Whose passwords the machine makes. */
    user: string;
    /** Seconds. */
    life: number;
  };
  /** While it is closed, calls of the sources `slow-aws`, `slow-program` and `slow-vending` wait for it, at their upstream. */
  readonly gate: { close(): void; open(): void; waiting(): number };
  /** Requests and runs that the upstream of a source has counted by itself. */
  upstreamCalls(source: 'aws' | 'program' | 'vending'): Promise<number>;
  /** When the credential of `warm` was asked for, the oldest first. */
  readonly warmedAtMs: readonly number[];
  /** Calls that all brokers have counted. */
  countedCalls(source: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startProviderBed(): Promise<ProviderBed> {
  const folder = await mkdtemp(join(tmpdir(), 'provider-bed-'));
  const at = (name: string): string => join(folder, name);
  let opened: Promise<void> = Promise.resolve();
  let open = (): void => undefined;
  let waiting = 0;
  const atGate = async (): Promise<void> => {
    waiting++;
    await opened;
    waiting--;
  };

  const sts = await startSecurityTokenService();
  const assumed: number[] = [];
  sts.answer = async ({ RoleSessionName: name }) => {
    if (name === 'warm') assumed.push(clock.elapsedMs());
    if (name === 'slow') await atGate();
    return undefined;
  };

  const vending = { user: 'app-blue', life: 600 };
  const machine: ScriptedIdentityProvider = await startScriptedIdentityProvider(async ({ headers, path }, index) => {
    if (!VENDING_KEYS.some((key) => headers.authorization === `Bearer ${key}`)) return { status: 401 };
    if (path.startsWith('/slow/')) await atGate();
    return { body: { user: vending.user, password: `canary-password-${String(index)}`, seconds: vending.life } };
  });
  await writeFile(at('vending.mjs'), await exampleOfTheDocumentation(), { mode: 0o644 });

  for (const name of ['runs', 'slow-runs']) await writeFile(at(name), '');
  await writeFile(
    at('program.mjs'),
    `import { appendFileSync, existsSync, readFileSync } from 'node:fs';
    import { setTimeout } from 'node:timers/promises';
    appendFileSync(${JSON.stringify(at('runs'))}, '.');
    if (process.env.SLOW) appendFileSync(${JSON.stringify(at('slow-runs'))}, '.');
    const token = 'canary-token-' + process.env.KEY + readFileSync(${JSON.stringify(at('runs'))}, 'utf8').length;
    if (process.env.SLOW) while (existsSync(${JSON.stringify(at('closed'))})) await setTimeout(20);
    const expirationTimestamp = new Date(Date.now() + 600_000).toISOString();
    console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token, expirationTimestamp } }));`,
  );

  const aws: Settings = {
    provider: 'aws-sts',
    region: STS_REGION,
    endpoint: sts.url,
    allowInsecureHttp: true,
    roleArn: 'arn:aws:iam::123456789012:role/orders',
    credentials: STS_USER,
  };
  const rds: Settings = {
    provider: 'aws-rds-iam',
    host: 'db.example.com',
    port: 5432,
    user: 'orders',
    region: STS_REGION,
    credentials: { source: 'aws' },
  };
  const program: Settings = {
    provider: 'exec',
    command: process.execPath,
    args: [at('program.mjs')],
    env: { KEY: 'one' },
    output: 'exec-credential',
  };
  const machineUsed: Settings = {
    provider: 'module',
    module: at('vending.mjs'),
    options: { url: machine.issuer },
    secrets: { apiKey: VENDING_KEYS[0] },
  };
  const timeout = '60s';
  const sources: Settings = {
    aws,
    rds,
    program,
    vending: machineUsed,
    key: { provider: 'static', value: 'canary-key-one', tokenType: 'password', username: 'app-blue' },
    warm: { ...aws, sessionName: 'warm', refresh: { ahead: '50%', keepWarm: true } },
    'slow-aws': { ...aws, sessionName: 'slow', timeout },
    'slow-rds': { ...rds, credentials: { source: 'slow-aws' }, timeout },
    'slow-program': { ...program, env: { KEY: 'one', SLOW: 'yes' }, timeout },
    'slow-vending': { ...machineUsed, options: { url: `${machine.issuer}/slow` }, timeout },
  };
  const stack = await startStack({
    brokers: 2,
    configure: (settings) => ({
      ...settings,
      sources,
      callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
    }),
  });

  return {
    stack,
    sts,
    vending,
    warmedAtMs: assumed,
    gate: {
      close() {
        opened = new Promise((resolve) => {
          open = resolve;
        });
        writeFileSync(at('closed'), '');
      },
      open() {
        rmSync(at('closed'), { force: true });
        open();
      },
      waiting: () => waiting + readFileSync(at('slow-runs'), 'utf8').length,
    },
    async upstreamCalls(source) {
      if (source === 'aws') return sts.calls();
      return source === 'vending' ? machine.requests.length : (await readFile(at('runs'), 'utf8')).length;
    },
    async countedCalls(source) {
      const pages = await Promise.all(stack.brokers.map((_, index) => stack.metrics(index)));
      return pages.reduce((sum, page) => sum + metricValue(page, 'token_broker_idp_calls_total', { source }), 0);
    },
    async stop() {
      open();
      await stack.stop();
      await Promise.all([sts.stop(), machine.stop()]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Word for word: what is shown there is what is run here. */
async function exampleOfTheDocumentation(): Promise<string> {
  const page = await readFile(new URL('../../docs/providers.md', import.meta.url), 'utf8');
  const [, example] = /```js\n([^]*?)```/.exec(page) ?? [];
  if (example === undefined) throw new Error('docs/providers.md has no example');
  return example;
}
