import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { pair } from './paired-sockets.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** An address that leads to one server and later to another, as one that moves with the master does. */
export interface VirtualAddress extends Address {
  /** Ends what goes over it, and leads to another server from now on. */
  leadTo(target: Address): void;
  stop(): Promise<void>;
}

export async function startVirtualAddress(first: Address): Promise<VirtualAddress> {
  let target = first;
  const open = new Set<Socket>();
  const endAll = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };
  const listener = createServer((client) => {
    const server = connect(target.port, target.host);
    pair(client, server, open);
    client.pipe(server);
    server.pipe(client);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    leadTo(next) {
      target = next;
      endAll();
    },
    async stop() {
      listener.close();
      endAll();
      await once(listener, 'close');
    },
  };
}
