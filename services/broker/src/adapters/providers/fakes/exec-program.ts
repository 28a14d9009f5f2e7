import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecSourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { onTestFinished } from 'vitest';

export const EXEC_SECRET = 'canary of a program: 5Tz';

export interface ExecBed {
  readonly source: ExecSourceConfiguration;
  /** JavaScript that the program runs from now on. `call` is the number of its run, from 1. */
  does(script: string): void;
  runs(): number;
  /** What a script has written into the file `name` of its folder. */
  read(name: string): string;
}

/** A program of Node.js in a folder of its own, and a source that runs it; gone when the test ends. */
export function openExecBed(settings: Partial<ExecSourceConfiguration> = {}): ExecBed {
  const folder = mkdtempSync(join(tmpdir(), 'exec-provider-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const at = (name: string): string => join(folder, name);
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  writeFileSync(at('runs'), '');
  const program = `
    import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(at('runs'))}, '.');
    const call = readFileSync(${JSON.stringify(at('runs'))}, 'utf8').length;
    const note = (name, text) => writeFileSync(${JSON.stringify(`${folder}/`)} + name, text);
    const print = (value) => process.stdout.write(JSON.stringify(value));
  `;
  const does = (script: string): void => {
    writeFileSync(at('program.mjs'), program + script);
  };
  does('');
  return {
    does,
    read,
    runs: () => read('runs').length,
    source: {
      name: 'cluster',
      provider: 'exec',
      command: process.execPath,
      args: [at('program.mjs')],
      env: new Map([['KEY', new Redacted(EXEC_SECRET)]]),
      output: 'exec-credential',
      defaultLifetimeMs: 300_000,
      maxLifetimeMs: 86_400_000,
      scopes: [],
      timeoutMs: 10_000,
      lockTimeMs: 12_000,
      refresh: { ahead: { kind: 'off' }, keepWarm: false },
      quota: [],
      ...settings,
    },
  };
}

/** JavaScript that prints the credential of one of the two formats. */
export function printing(output: ExecSourceConfiguration['output'], lifeMs: number): string {
  const end = `new Date(Date.now() + ${String(lifeMs)}).toISOString()`;
  return output === 'exec-credential'
    ? `print({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential',
         status: { token: 'canary-token-' + call, expirationTimestamp: ${end} } });`
    : `print({ Version: 1, AccessKeyId: 'ASIA' + call, SecretAccessKey: 'canary-key-' + call,
         SessionToken: 'canary-session-' + call, Expiration: ${end} });`;
}
