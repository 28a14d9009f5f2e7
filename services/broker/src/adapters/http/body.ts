import type { IncomingMessage } from 'node:http';

/**
 * The body of a request; `undefined` where it has more than `maxBytes`, of which no more than that is kept.
 *
 * @throws {Error} where whoever sends it leaves
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (body: Uint8Array | undefined): void => {
      request.off('data', take);
      resolve(body);
    };
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      bytes += chunk.length;
      // Not destroyed: the answer goes over the same connection.
      if (bytes > maxBytes) end(undefined);
    };
    request.on('data', take);
    request.once('end', () => end(Buffer.concat(chunks)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('the request was left')));
  });
}
