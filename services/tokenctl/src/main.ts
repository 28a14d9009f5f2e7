#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { createSystemClock, systemRandom } from '@token-broker/foundation';
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
  readFile: (path) => (path === '-' ? text(process.stdin) : readFile(path, 'utf8')),
  openDoor: (settings) => openDoor(settings, clock),
});

// A connection that is still being tried must not hold the process; what was printed must be out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));

function outputOf(stream: NodeJS.WriteStream): Output {
  return { write: (line) => void stream.write(line), isTTY: stream.isTTY };
}

/** Asks on standard error: standard output may be piped. */
async function confirm(question: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  // The end of input is an answer too: no.
  const ended = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([reader.question(`${question} [y/N] `), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
