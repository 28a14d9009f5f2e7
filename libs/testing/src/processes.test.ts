import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';
import { startProgram } from './processes.js';

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'token-broker-processes-test-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function program(name: string, source: string): Promise<string> {
  const path = join(directory, `${name}.mjs`);
  await writeFile(path, source);
  return path;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('startProgram', () => {
  it('collects the lines of both streams and the exit code', async () => {
    const path = await program(
      'echo',
      `process.stdin.on('data', (text) => { console.log('in ' + text); console.error('env ' + process.env.COLOUR); process.exitCode = 3; });`,
    );
    const echo = startProgram(path, { env: { COLOUR: 'green' }, input: 'hello' });
    expect(await echo.exited).toEqual({ code: 3, signal: null });
    expect(echo.stdout).toEqual(['in hello']);
    expect(echo.stderr).toEqual(['env green']);
    expect(await echo.waitForLine(/^env (\w+)/)).toBe('env green');
  });

  it('says what was printed when the awaited line does not come', async () => {
    const ended = startProgram(await program('ends', `console.error('cannot start: no port'); process.exit(1);`));
    await expect(ended.waitForLine(/ready/)).rejects.toThrow(
      /ended before it printed .*ready[^]*cannot start: no port/,
    );
    const silent = startProgram(await program('silent', `console.log('up'); setInterval(() => {}, 1000);`));
    await silent.waitForLine((line) => line === 'up');
    await expect(silent.waitForLine(/ready/, 20)).rejects.toThrow(/ran for 20 ms/);
    expect(await silent.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('kills a program that does not heed SIGTERM', async () => {
    const path = await program(
      'deaf',
      `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000);`,
    );
    const deaf = startProgram(path);
    await deaf.waitForLine(/up/);
    expect(await deaf.stop(50)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('ends with its parent, even where the parent is killed', async () => {
    const child = await program('child', `console.log('child up'); setInterval(() => {}, 1000);`);
    const parent = startProgram(
      await program(
        'parent',
        `import { startProgram } from ${JSON.stringify(new URL('../dist/processes.js', import.meta.url).href)};
         const child = startProgram(${JSON.stringify(child)});
         await child.waitForLine(/up/);
         console.log('pid ' + child.pid);`,
      ),
    );
    const pid = Number((await parent.waitForLine(/^pid/)).slice(4));
    expect(isRunning(pid)).toBe(true);
    parent.signal('SIGKILL');
    await parent.exited;
    await eventually(() => !isRunning(pid), { what: 'the child to be gone' });
  });
});
