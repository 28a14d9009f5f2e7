#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { createSystemClock, systemRandom } from '@token-broker/foundation';
import { confirm, readSecret } from './conversation.js';
import { openDoor } from './door.js';
import { runTokenctl } from './program.js';
import type { Output } from './surroundings.js';

// Whoever reads may stop reading (`tokenctl list | head -1`): that is no failure.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const clock = createSystemClock();
const exitCode = await runTokenctl(process.argv.slice(2), {
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  env: process.env,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  clock,
  random: systemRandom,
  confirm,
  readSecret,
  readFile: (path) => (path === '-' ? text(process.stdin) : readFile(path, 'utf8')),
  openDoor: (settings) => openDoor(settings, clock),
});

// A connection that is still being tried must not hold the process; what was printed must be out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));

function outputOf(stream: NodeJS.WriteStream): Output {
  return { write: (line) => void stream.write(line), isTTY: stream.isTTY };
}
