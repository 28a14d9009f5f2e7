import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOn } from './fakes/run.js';

const script = async (shell: string): Promise<string> =>
  (await runOn(new VirtualClock(), ['completion', shell], { env: {} })).stdout;

describe('bash', () => {
  let folder = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tokenctl-completion-'));
    writeFileSync(join(folder, 'tokenctl.bash'), await script('bash'));
    writeFileSync(join(folder, 'broker.yaml'), '');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  /** What a real bash offers for the last word. */
  function offered(...words: string[]): string[] {
    const line = ['tokenctl', ...words];
    const program = `source ./tokenctl.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tokenctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['-uc', program, 'bash', ...line], { cwd: folder, encoding: 'utf8' });
    return out.split('\n').filter((word) => word !== '');
  }

  it('completes commands, and those within commands', () => {
    expect(offered('re')).toEqual(['revoke', 'resume', 'refresh', 'refresh-token', 'reload']);
    expect(offered('context', '')).toEqual(expect.arrayContaining(['add', 'use', 'list', 'show', 'remove']));
    expect(offered('refresh-token', 's')).toEqual(['set']);
  });

  it('completes options of the command and of the program, and not those of others', () => {
    expect(offered('revoke', '--a')).toEqual(['--all', '--at-provider']);
    expect(offered('status', '--a')).toEqual([]);
    expect(offered('revoke', '--us')).toEqual(['--used-by', '--user']);
    expect(offered('--js')).toEqual(['--json']);
  });

  it('completes the values that an option or an argument may have', () => {
    expect(offered('get', 'payments', '--output', 'he')).toEqual(['header']);
    expect(offered('nats-permissions', '--format', '')).toEqual(['conf', 'json']);
    expect(offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  });

  it('completes files where a file is meant, and nothing where nobody knows', () => {
    expect(offered('check', 'bro')).toEqual(['broker.yaml']);
    expect(offered('doctor', '--config', 'bro')).toEqual(['broker.yaml']);
    expect(offered('revoke', '--reason', '')).toEqual([]);
  });

  it('keeps the command also behind options with values', () => {
    expect(offered('--timeout', '5s', 'revoke', '--dry')).toEqual(['--dry-run']);
  });
});

describe('zsh and fish', () => {
  it('name every command and option', async () => {
    const [zsh, fish] = [await script('zsh'), await script('fish')];
    expect(zsh).toMatch(/^#compdef tokenctl\n/);
    for (const word of ['revoke', 'nats-permissions', 'doctor']) {
      expect(zsh).toContain(`'${word}:`);
      expect(fish).toMatch(new RegExp(`-a ${word} -d '`));
    }
    expect(zsh).toContain('--output');
    expect(zsh).toContain('(raw header json env exec-credential aws-credential-process)');
    expect(fish).toContain("-l output -x -a 'raw header json env exec-credential aws-credential-process'");
  });

  it('are balanced where text holds quotes, brackets and colons', async () => {
    const zsh = await script('zsh');
    for (const line of zsh.split('\n')) expect((line.match(/(?<!\\)'/g) ?? []).length % 2, line).toBe(0);
  });
});

it('connects to nothing, and knows no other shell', async () => {
  const outcome = await runOn(new VirtualClock(), ['completion', 'tcsh'], { env: {} });
  expect(outcome).toMatchObject({ code: 2, settings: undefined });
  expect(outcome.stderr).toContain('Allowed choices are bash, zsh, fish');
});
