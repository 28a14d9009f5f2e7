import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AuditDestination, AuditLine } from '../../app/ports/audit.js';

const MODE = 0o600;
const LINE_BREAK = 0x0a;

/** What no waiting mends: the configuration or the machine must be changed. */
const HOPELESS: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'EROFS', 'ELOOP']);

/**
 * Appends records to a file, one a line, and makes it with mode 0600 where it is missing. It may be moved away at any
 * time: before each batch it is looked whether the name still leads to the open file.
 */
export class AuditFile implements AuditDestination {
  readonly name = 'file';
  readonly #path: string;
  #file: FileHandle | undefined;
  #mustReopen = false;
  /** What was written last may have ended in the middle of a line. */
  #isTorn = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Why records could never be written; `undefined` where they can be, or may be able to be later. */
  async problem(): Promise<string | undefined> {
    try {
      await this.#open();
      return undefined;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      return HOPELESS.has(code) ? `the audit file ${this.#path} cannot be opened (${code})` : undefined;
    }
  }

  async deliver(lines: readonly AuditLine[], durable: boolean): Promise<void> {
    const file = await this.#current();
    const text = lines.map((line) => `${line.text}\n`).join('');
    const bytes = Buffer.from(this.#isTorn ? `\n${text}` : text);
    this.#isTorn = true;
    for (let from = 0; from < bytes.length;) from += (await file.write(bytes, from)).bytesWritten;
    this.#isTorn = false;
    if (durable) await file.datasync();
  }

  reopen(): void {
    this.#mustReopen = true;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #current(): Promise<FileHandle> {
    if (this.#file !== undefined && (this.#mustReopen || !(await this.#isStillThere(this.#file)))) await this.close();
    this.#mustReopen = false;
    return this.#file ?? this.#open();
  }

  async #isStillThere(file: FileHandle): Promise<boolean> {
    try {
      const [named, opened] = await Promise.all([stat(this.#path), file.stat()]);
      return named.ino === opened.ino && named.dev === opened.dev;
    } catch {
      return false;
    }
  }

  async #open(): Promise<FileHandle> {
    // Reading is for its last byte alone.
    const file = await open(this.#path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, MODE);
    try {
      const { size } = await file.stat();
      if (size > 0) {
        const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
        // A crash of the process before this one.
        this.#isTorn = buffer[0] !== LINE_BREAK;
      } else {
        this.#isTorn = false;
        await syncDirectory(dirname(this.#path));
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    return file;
  }
}

/** Without it a crash of the machine may forget that the file exists, with all that was synced into it. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch {
    // Not every file system can; the records are synced all the same.
  }
}
