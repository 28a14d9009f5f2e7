import { open } from 'node:fs/promises';

/** A file's text and its permission bits. */
export interface FileContent {
  readonly text: string;
  readonly mode: number;
}

/** Reads a file, or throws an error with a `code` such as `ENOENT`. */
export type ReadFile = (path: string) => Promise<FileContent>;

const MAX_BYTES = 1024 * 1024;

/** Text and mode come from one open file, so that nobody can exchange it in between. Refuses what is no regular file. */
export const readSystemFile: ReadFile = async (path) => {
  const file = await open(path, 'r');
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' });
    if (!stats.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'ENOTFILE' });
    if (stats.size > MAX_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
    return { text: await file.readFile('utf8'), mode: stats.mode };
  } finally {
    await file.close();
  }
};

/** What went wrong, without the words of the operating system (which repeat the path). */
export function fileErrorText(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'cannot be read: permission denied';
    case 'EISDIR':
      return 'is a directory';
    case 'ENOTFILE':
      return 'is not a regular file';
    case 'EFBIG':
      return 'is over 1 MiB';
    default:
      return `cannot be read${typeof code === 'string' ? `: ${code}` : ''}`;
  }
}
