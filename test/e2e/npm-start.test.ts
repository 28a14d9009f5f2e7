import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram, type Program } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../deploy/local/dist/main.js', import.meta.url));
const LIMIT_MS = 90_000;

interface Outcome {
  readonly ok: boolean;
  readonly claims: readonly { readonly name: string; readonly figure: number | string; readonly true: boolean }[];
}

describe('npm start', () => {
  let folder: string;
  let program: Program | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'npm-start-'));
  });
  afterEach(async () => {
    await program?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function start(...args: string[]): Program {
    // Whatever it writes, it writes here: what is left at the end can be seen.
    program = startProgram(MAIN, { args, env: { TMPDIR: folder } });
    return program;
  }

  it(
    '--once --json: shows the main job, finds every claim true, and leaves nothing behind',
    async () => {
      const { exited, stdout, stderr } = start('--once', '--json');
      const { code } = await exited;
      const { ok, claims } = JSON.parse(stdout.at(-1) ?? '') as Outcome;
      expect(claims.filter((claim) => !claim.true)).toEqual([]);
      expect(Object.fromEntries(claims.map(({ name, figure }) => [name, figure]))).toMatchObject({
        'cold-idp-calls': 1,
        'cold-all-served': 200,
        'cold-same-token': 1,
        'refresh-idp-calls': 1,
        'refresh-pushed': 4,
        'refresh-requests': 0,
        'revocation-complete': 4,
        'revocation-none-after-ack': 0,
        'revocation-renewed': 4,
        'revocation-idp-calls': 1,
        'source-refused-by-nats': 'FORBIDDEN',
        'scope-refused-by-policy': 'FORBIDDEN',
      });
      expect({ ok, code, stderr }).toEqual({ ok: true, code: 0, stderr: [] });
      expect(readdirSync(folder)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'stays up, and says how to try tokenctl in words that work, until Ctrl-C stops everything',
    async () => {
      const running = start();
      await running.waitForLine(/^Ctrl-C stops everything/, LIMIT_MS);
      const line = running.stdout.find((text) => text.includes('alias tokenctl=')) ?? '';
      const [, script = ''] = /alias tokenctl='sh (.+)'/.exec(line) ?? [];
      expect(execFileSync('sh', [script, 'status'], { encoding: 'utf8' })).toMatch(/4 near caches/);
      const metrics = running.stdout.filter((text) => text.endsWith('/metrics')).map((text) => text.trim());
      expect(metrics).toHaveLength(3);
      for (const url of metrics) expect(await (await fetch(url)).text()).toContain('token_broker_requests_total');

      running.signal('SIGINT');
      expect((await running.exited).code).toBe(0);
      expect(readdirSync(folder)).toEqual([]);
    },
    LIMIT_MS,
  );

  it('stops what it has started when it is interrupted while it starts', async () => {
    const running = start('--once');
    await running.waitForLine(/waiting for 3 brokers/, 30_000);
    running.signal('SIGINT');
    expect((await running.exited).code).toBe(130);
    expect(readdirSync(folder)).toEqual([]);
  });
});
