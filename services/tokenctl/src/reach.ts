import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { within, type Clock } from '@token-broker/foundation';
import type { NetworkAddress } from './surroundings.js';

/** Connects to a server and leaves. `undefined`: it could; else why not, as one phrase. */
export async function reach(address: NetworkAddress, limitMs: number, clock: Clock): Promise<string | undefined> {
  const socket = open(address);
  const attempt = new Promise<string | undefined>((resolve) => {
    socket.once(address.tls === undefined ? 'connect' : 'secureConnect', () => resolve(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  const ended = await within(clock, limitMs, attempt);
  socket.destroy();
  return ended.inTime ? ended.value : `no answer within ${String(limitMs)} ms`;
}

function open({ host, port, tls }: NetworkAddress): Socket {
  if (tls === undefined) return connectTcp({ host, port });
  // An address is no server name (RFC 6066).
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ host, port, ...servername, ...(tls.ca === undefined ? {} : { ca: tls.ca }) });
}
