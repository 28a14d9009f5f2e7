import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PASSWORD } from '../stack/settings.js';

const CR = 13;
const LF_AFTER_CR = 2;
/** Replies that are shorter are refusals, not tokens. */
const LEAST_REPLY_BYTES = 1_000;

/**
 * A connection to a NATS server by bare socket: replies are counted and their bytes skipped, so that one process can ask
 * several times as much as a broker can answer.
 */
export interface RawConnection {
  readonly socket: Socket;
  /** Called with the number of whole replies of each chunk that arrives. */
  onReplies: (replies: number) => void;
  /** The bytes of one request with this reply token. */
  request(subject: string, token: string): Buffer;
}

/** A socket that the server knows as this user's, with one subscription. */
export async function openRawSocket(url: string, user: string, subject: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  await once(socket, 'data');
  const options = { verbose: false, pedantic: false, user, pass: PASSWORD, protocol: 1, lang: 'bench', version: '1' };
  socket.write(`CONNECT ${JSON.stringify(options)}\r\nSUB ${subject} 1\r\nPING\r\n`);
  const [pong] = (await once(socket, 'data')) as [Buffer];
  if (!pong.includes('PONG')) throw new Error(pong.toString());
  return socket;
}

export async function openRaw(url: string, user: string): Promise<RawConnection> {
  const inbox = `_INBOX.${user}.raw`;
  const socket = await openRawSocket(url, user, `${inbox}.*`);
  const connection: RawConnection = {
    socket,
    onReplies: () => undefined,
    request: (subject, token) => Buffer.from(`PUB ${subject} ${inbox}.${token} 0\r\n\r\n`),
  };
  let rest: Buffer | undefined;
  /** Bytes of a payload that are still to come. */
  let skip = 0;
  socket.on('data', (chunk: Buffer) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    rest = undefined;
    let replies = 0;
    let at = 0;
    for (;;) {
      if (skip > data.length - at) {
        skip -= data.length - at;
        break;
      }
      at += skip;
      if (skip > 0) replies++;
      skip = 0;
      const end = data.indexOf(CR, at);
      if (end === -1 || end + 1 >= data.length) {
        if (at < data.length) rest = data.subarray(at);
        break;
      }
      skip = payloadBytes(data, at, end, socket);
      at = end + LF_AFTER_CR;
    }
    if (replies > 0) connection.onReplies(replies);
  });
  return connection;
}

/** The bytes that follow a line of the protocol, with their end of line. */
function payloadBytes(data: Buffer, start: number, end: number, socket: Socket): number {
  const kind = data[start];
  if (kind === 0x4d /* MSG */) {
    let bytes = 0;
    for (let at = end - 1, place = 1; data[at] !== 0x20; at--, place *= 10) bytes += ((data[at] ?? 0) - 0x30) * place;
    if (bytes >= LEAST_REPLY_BYTES) return bytes + LF_AFTER_CR;
    throw new Error(`a refusal: ${data.toString('latin1', start, end + bytes + LF_AFTER_CR)}`);
  }
  if (kind === 0x50 /* PING or PONG */) {
    if (data[start + 1] === 0x49) socket.write('PONG\r\n');
    return 0;
  }
  if (kind === 0x49 /* INFO */) return 0;
  throw new Error(`not a reply: ${data.toString('latin1', start, end)}`);
}
