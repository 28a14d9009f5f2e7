import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { portOf } from '../port-of.js';

/** An attempt to open a connection, as the server saw it. */
export interface DatabaseLogin {
  readonly user: string;
  readonly password: string;
  /** Why it was refused; `undefined`: it was let in. */
  readonly refusal: string | undefined;
}

/** A server that speaks as much of PostgreSQL's protocol (version 3.0) as it takes to log in and to ask who one is. */
export interface PasswordDatabase {
  readonly host: string;
  readonly port: number;
  /** The oldest first. */
  readonly logins: readonly DatabaseLogin[];
  /** Users of the connections that are open and let in. */
  users(): string[];
  stop(): Promise<void>;
}

/** Version 3.0 of the protocol, as the first packet of a client states it. */
const PROTOCOL = 0x0003_0000;
/** Of a row: no table, type `text` of any length, in text format. */
const TEXT_TYPE = 25;

/**
 * Starts a server on a free port of 127.0.0.1 that asks each client for its password in clear text, as a database does for PAM, LDAP
 * or IAM. Every query is answered with the name of the user, whatever it says.
 *
 * @param explain why this password is not one for this user now; `undefined`: it is
 */
export async function startPasswordDatabase(
  explain: (password: string, user: string) => string | undefined,
): Promise<PasswordDatabase> {
  const logins: DatabaseLogin[] = [];
  const open = new Map<Socket, string>();
  const sockets = new Set<Socket>();

  const converse = async (socket: Socket): Promise<void> => {
    const packets = packetsOf(socket);
    const { body: startup } = await next(packets);
    if (startup.readInt32BE(0) !== PROTOCOL) {
      // What it cannot do, such as TLS, it declines as the protocol says.
      socket.end('N');
      return;
    }
    const fields = startup.subarray(4).toString().split('\0');
    const user = fields[fields.indexOf('user') + 1] ?? '';
    socket.write(message('R', int32(3)));
    const { type, body } = await next(packets);
    if (type !== 'p') {
      // It has changed its mind.
      socket.end();
      return;
    }
    const password = body.subarray(0, -1).toString();
    const refusal = explain(password, user);
    logins.push({ user, password, refusal });
    if (refusal !== undefined) {
      socket.end(failure('FATAL', '28P01', `password authentication failed for user "${user}"`));
      return;
    }
    open.set(socket, user);
    const settings = { server_version: '15.0', client_encoding: 'UTF8' };
    for (const [name, value] of Object.entries(settings)) socket.write(message('S', text(name), text(value)));
    socket.write(Buffer.concat([message('R', int32(0)), message('K', int32(1), int32(1)), READY]));
    for await (const packet of packets) {
      if (packet.type === 'X') break;
      socket.write(packet.type === 'Q' ? rowOf('user', user) : failure('ERROR', '0A000', 'simple queries only'));
      socket.write(READY);
    }
    socket.end();
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      sockets.delete(socket);
      open.delete(socket);
    });
    converse(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: portOf(server),
    logins,
    users: () => [...open.values()],
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

interface Packet {
  /** Empty: the first one of a connection, which has no type. */
  readonly type: string;
  readonly body: Buffer;
}

async function* packetsOf(socket: Socket): AsyncGenerator<Packet, undefined> {
  let bytes = Buffer.alloc(0);
  let head = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= head + 4) {
      const end = head + bytes.readInt32BE(head);
      if (bytes.length < end) break;
      yield { type: bytes.toString('latin1', 0, head), body: bytes.subarray(head + 4, end) };
      bytes = bytes.subarray(end);
      head = 1;
    }
  }
}

async function next(packets: AsyncGenerator<Packet, undefined>): Promise<Packet> {
  const { value } = await packets.next();
  if (value === undefined) throw new Error('the client has gone');
  return value;
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

const READY = message('Z', Buffer.from('I'));

function rowOf(name: string, value: string): Buffer {
  const column = [int16(1), text(name), int32(0), int16(0), int32(TEXT_TYPE), int16(-1), int32(-1), int16(0)];
  const bytes = Buffer.from(value);
  return Buffer.concat([
    message('T', ...column),
    message('D', int16(1), int32(bytes.length), bytes),
    message('C', text('SELECT 1')),
  ]);
}

function failure(severity: string, code: string, words: string): Buffer {
  const fields = Object.entries({ S: severity, V: severity, C: code, M: words });
  return message('E', ...fields.map(([field, value]) => text(field + value)), Buffer.alloc(1));
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}
