import { open, stat, type FileHandle } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { delay, type Clock } from '@token-broker/foundation';
import type { AuditRecord } from '@token-broker/protocol';
import { usageFailure } from '../command-failure.js';
import { AuditLines } from './audit-lines.js';

const CHUNK_BYTES = 64 * 1024;
/** How often a file that is followed is looked at. */
const LOOK_MS = 250;

/**
 * The records of a file, and with `follow` those that come, also when the file is moved away and another one takes its
 * place, or is emptied.
 *
 * @throws {CommandFailure} for a file that cannot be read
 */
export async function* recordsOfFile(path: string, follow: boolean, clock: Clock): AsyncGenerator<AuditRecord> {
  const lines = new AuditLines();
  let file = await opened(path);
  try {
    for (let at = 0; ;) {
      const decoder = new StringDecoder('utf8');
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at);
        if (bytesRead > 0) {
          at += bytesRead;
          yield* lines.take(decoder.write(buffer.subarray(0, bytesRead)));
          continue;
        }
        if (!follow) {
          yield* lines.end();
          return;
        }
        await delay(clock, LOOK_MS);
        const next = await successor(file, path, at);
        if (next === 'same') continue;
        // A writer may have finished its last line after the file was moved.
        if (next === 'moved' && (await file.stat()).size > at) continue;
        yield* lines.end();
        if (next === 'moved') {
          await file.close();
          file = await opened(path);
        }
        at = 0;
        break;
      }
    }
  } finally {
    await file.close();
  }
}

async function successor(file: FileHandle, path: string, at: number): Promise<'same' | 'moved' | 'emptied'> {
  const own = await file.stat();
  const named = await stat(path).catch(() => undefined);
  // Between the moving and the first record there is no file.
  if (named === undefined) return 'same';
  if (named.ino !== own.ino || named.dev !== own.dev) return 'moved';
  return own.size < at ? 'emptied' : 'same';
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw usageFailure(`--file: the file ${path} cannot be read (${code})`, 'Check the path, and who may read it.');
  }
}
