import { Readable } from 'node:stream';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decoded } from './content-coding.js';

const TEXT = '{"access_token":"a"}';

async function read(content: Uint8Array, contentEncoding: string | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decoded(Readable.from([content]), contentEncoding)) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
}

describe('a content', () => {
  it.each([
    ['without any coding', Buffer.from(TEXT), null],
    ['by gzip', gzipSync(TEXT), 'gzip'],
    ['by gzip, in capitals', gzipSync(TEXT), ' GZIP '],
    ['by deflate', deflateSync(TEXT), 'deflate'],
    ['by br', brotliCompressSync(TEXT), 'br'],
    ['by two, in the order in which they were applied', brotliCompressSync(gzipSync(TEXT)), 'gzip, br'],
    ['of a coding that is not known', Buffer.from(TEXT), 'identity'],
  ])('%s is read', async (_, content, contentEncoding) => {
    expect(await read(content, contentEncoding)).toBe(TEXT);
  });

  it('that is cut short, or is of no such coding, fails with whoever reads it', async () => {
    await expect(read(gzipSync(TEXT).subarray(0, 12), 'gzip')).rejects.toThrow('unexpected end of file');
    await expect(read(Buffer.from(TEXT), 'br')).rejects.toThrow();
  });

  it('is read no further than its reader does', async () => {
    const member = gzipSync(Buffer.alloc(1_000_000));
    const given: number[] = [];
    const source = Readable.from(membersOf(member, 1_000, given));
    const isClosed = new Promise((resolve) => source.once('close', resolve));
    for await (const chunk of decoded(source, 'gzip')) {
      expect(chunk).toBeDefined();
      break;
    }
    await isClosed;
    expect(given.length).toBeLessThan(100);
  });
});

function* membersOf(member: Uint8Array, count: number, given: number[]): Generator<Uint8Array> {
  for (let index = 0; index < count; index++) {
    given.push(index);
    yield member;
  }
}
