#!/usr/bin/env node
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { text } from 'node:stream/consumers';
import { createSystemClock, systemRandom } from '@token-broker/foundation';
import { ask, confirm, readSecret } from './conversation.js';
import { openDoor } from './door.js';
import { openHttpDoor } from './http-door.js';
import { recordsOfStream } from './nats-audit-stream.js';
import { runTokenctl } from './program.js';
import { reach } from './reach.js';
import type { Output } from './surroundings.js';

// Whoever reads may stop reading (`tokenctl slots | head -1`): that is no failure.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

// Timers of the clock hold no process, and the wait for another process that fetches a token is nothing but timers.
setInterval(() => undefined, 0x7fffffff);

const clock = createSystemClock();
// Asked for by commands alone that go on by themselves: all others end at once, as programs do.
let interruption: Promise<void> | undefined;
const exitCode = await runTokenctl(process.argv.slice(2), {
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  env: process.env,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  platform: process.platform,
  process: { id: process.pid, host: hostname(), isRunning },
  clock,
  random: systemRandom,
  confirm,
  ask,
  readSecret,
  readFile: (path) => (path === '-' ? text(process.stdin) : readFile(path, 'utf8')),
  modeOf: async (path) => (await stat(path)).mode & 0o777,
  reach: (address, limitMs) => reach(address, limitMs, clock),
  interrupted: () =>
    (interruption ??= Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => undefined)),
  openDoor: (settings) => openDoor(settings, clock),
  openHttpDoor: (settings) => openHttpDoor(settings, clock),
  readAuditStream: (settings, reading) => recordsOfStream(settings, reading, clock),
});

// A connection that is still being tried must not hold the process; what was printed must be out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return error instanceof Error && 'code' in error && error.code !== 'ESRCH';
  }
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return { write: (line) => void stream.write(line), isTTY: stream.isTTY };
}
