import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { run } from './fakes/run.js';

describe('help', () => {
  it.each([
    'get',
    'context',
    'logout',
    'status',
    'sources',
    'slots',
    'describe',
    'quota',
    'revoke',
    'refresh',
    'refresh-token',
    'watch',
    'top',
    'doctor',
    'completion',
    'reload',
    'check',
    'nats-permissions',
  ])('of %s has examples and the global options, and ends with 0', async (command) => {
    const { code, stdout, stderr } = await run([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Examples:\n  tokenctl ${command === 'reload' ? 'check' : command}`);
    expect(stdout).toContain('--server <urls>');
  });

  it('of the program lists the exit codes', async () => {
    const { stdout } = await run(['--help']);
    expect(stdout).toContain('4  denied');
    expect(stdout).toMatch(/--timeout <duration> +for connecting, and for each request\n/);
  });

  it('has a version', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('is shown where there is no command, which ends with 2', async () => {
    const outcome = await run([]);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('Usage: tokenctl');
  });
});

describe('docs/tokenctl.md', () => {
  it('names every command and every option', async () => {
    const page = await readFile(new URL('../../../docs/tokenctl.md', import.meta.url), 'utf8');
    const help = (await run(['--help'])).stdout;
    const commands = [
      ...help.slice(help.indexOf('Commands:'), help.indexOf('Exit codes:')).matchAll(/^ {2}([a-z-]+) .*/gm),
    ].map(([, name]) => name);
    expect(commands).toContain('nats-permissions');
    const helps = await Promise.all(commands.map(async (name = '') => (await run([name, '--help'])).stdout));
    const options = new Set(helps.join('').match(/(?<=^ {2}(-\w, )?)--[a-z-]+/gm));
    expect(options.size).toBeGreaterThan(20);
    for (const name of commands.filter((name) => name !== 'help')) expect(page).toContain(`\n## ${name ?? ''}\n`);
    for (const option of options) if (!/^--(help|version)$/.test(option)) expect(page).toContain(option);
  });
});
