import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { pair } from './paired-sockets.js';
import { digestOf, SCRIPT_FILES, scriptText } from './scripts.js';
import type { Address } from './virtual-address.js';

/** How the scripts ask for the time, and how they are made to ask: as long, since RESP says lengths ahead of texts. */
const ASKED = "local time = redis.call('TIME')\nlocal nowUs = time[1] * 1000000 + time[2]";
const SHIFTED = "local t=redis.call local x=t'TIME'local nowUs=x[1]*1e6+x[2]+t('GET','T')".padEnd(ASKED.length);
/** The key that says how far ahead, in microseconds. */
const AHEAD = 'T';

/** A Redis whose scripts are told another time. What Redis itself lets expire (TTL) goes on by its own clock. */
export interface ShiftedClock extends Address {
  /** The clock jumps: from now on it is ahead by so much. */
  jumpTo(aheadMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** Stands before a Redis and changes scripts as they pass; and digests, since a changed script has another. */
export async function startShiftedClock(redis: Address, direct: Redis): Promise<ShiftedClock> {
  const changes = new Map([[ASKED, SHIFTED]]);
  for (const files of Object.values(SCRIPT_FILES)) {
    const text = scriptText(files);
    if (!text.includes(ASKED)) throw new Error('the scripts ask for the time in a way that is not known here');
    changes.set(digestOf(text), digestOf(text.replace(ASKED, () => SHIFTED)));
  }
  await direct.set(AHEAD, '0');
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(redis.port, redis.host);
    let kept = Buffer.alloc(0);
    client.on('data', (bytes: Buffer) => {
      const seen = Buffer.concat([kept, bytes]);
      for (const [from, to] of changes) change(seen, from, to);
      const whole = seen.length - Math.max(...[...changes.keys()].map((from) => beginningAtTheEnd(seen, from)));
      server.write(seen.subarray(0, whole));
      kept = Buffer.from(seen.subarray(whole));
    });
    server.pipe(client);
    pair(client, server, open);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    async jumpTo(aheadMs) {
      await direct.set(AHEAD, String(aheadMs * 1_000));
    },
    async stop() {
      listener.close();
      for (const socket of open) socket.destroy();
      await once(listener, 'close');
    },
  };
}

function change(bytes: Buffer, from: string, to: string): void {
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at)) bytes.write(to, at, 'latin1');
}

/** So many bytes at the end may be the beginning of what is looked for. */
function beginningAtTheEnd(bytes: Buffer, wanted: string): number {
  for (let length = Math.min(bytes.length, wanted.length - 1); length > 0; length--) {
    if (bytes.subarray(-length).equals(Buffer.from(wanted).subarray(0, length))) return length;
  }
  return 0;
}
