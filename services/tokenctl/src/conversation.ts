import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { LIMITS } from '@token-broker/protocol';

// Questions go to standard error: standard output may be piped.

/** More of standard input than this is no token, or not tokens only: it is not read to its end. */
const MAX_SECRET_BYTES = 3 * LIMITS.subjectTokenCharacters;

/** Asks for a yes. */
export async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N]`));
}

/** Asks for a line of text. The end of input is an empty one. */
export async function ask(question: string): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
  try {
    return (await Promise.race([reader.question(`${question} `), ended])).trim();
  } finally {
    reader.close();
  }
}

/** What is on standard input. On a terminal it is asked for, one line, and what is typed is not shown. */
export async function readSecret(question: string): Promise<string> {
  return process.stdin.isTTY ? askUnseen(question) : readToEnd();
}

async function askUnseen(question: string): Promise<string> {
  const unseen = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  // A terminal that readline drives echoes nothing by itself; what readline would echo goes nowhere.
  const reader = createInterface({ input: process.stdin, output: unseen, terminal: true });
  const ended = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
  process.stderr.write(`${question} `);
  try {
    return await Promise.race([reader.question(''), ended]);
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}

async function readToEnd(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_SECRET_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
