import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

/** The codings that servers use (RFC 9110 §8.4.1), by the names that they have in `Content-Encoding`. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);

/**
 * The content without its codings. Nobody asks for a compressed reply; a server or a cache on the way may send one all the
 * same. Chunk by chunk: whoever stops reading stops the connection. A coding that is not known is left as it is.
 */
export function decoded(content: Readable, contentEncoding: string | null): Readable {
  const codings = (contentEncoding ?? '').split(',').map((name) => name.trim().toLowerCase());
  // In the order in which they were applied: the last one comes off first.
  return codings.reduceRight((inner: Readable, name) => {
    const decoder = DECODERS.get(name)?.();
    // What goes wrong is told to whoever reads.
    return decoder === undefined ? inner : pipeline(inner, decoder, () => undefined);
  }, content);
}
