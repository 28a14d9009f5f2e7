import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createSystemClock } from '@token-broker/foundation';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';
import { startFaultProxy, type FaultProxy } from './fault-proxy.js';
import { SeededRandom } from './seeded-random.js';

/** What a peer has seen of its connection. */
interface Peer {
  readonly socket: Socket;
  readonly chunks: Buffer[];
  readonly events: string[];
}

const cleanups: (() => unknown)[] = [];
let serverPeers: Peer[];
let proxy: FaultProxy;

function watch(socket: Socket): Peer {
  const peer: Peer = { socket, chunks: [], events: [] };
  socket.on('data', (bytes) => peer.chunks.push(bytes));
  socket.on('error', (error: NodeJS.ErrnoException) => peer.events.push(error.code ?? error.message));
  for (const event of ['end', 'close']) socket.on(event, () => peer.events.push(event));
  cleanups.push(() => socket.destroy());
  return peer;
}

/** A server that sends back what it gets, and ends when the other side ends. */
async function startEcho(): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    serverPeers.push(watch(socket));
    socket.on('data', (bytes) => socket.write(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function dial(): Peer {
  return watch(connect({ host: proxy.host, port: proxy.port, noDelay: true }));
}

const textOf = (peer: Peer | undefined): string => Buffer.concat(peer?.chunks ?? []).toString();

async function hears(peer: Peer, text: string): Promise<void> {
  await eventually(() => textOf(peer) === text, { what: `"${text}" to arrive; so far: "${textOf(peer)}"` });
}

async function happens(peer: Peer | undefined, event: string): Promise<void> {
  await eventually(() => peer?.events.includes(event), { what: `the event ${event}` });
}

/** A dialled peer whose connection is known to work. */
async function dialAndGreet(): Promise<Peer> {
  const peer = dial();
  peer.socket.write('hello ');
  await hears(peer, 'hello ');
  return peer;
}

beforeEach(async () => {
  serverPeers = [];
  proxy = await startFaultProxy({ host: '127.0.0.1', port: await startEcho(), random: new SeededRandom(1) });
  cleanups.push(() => proxy.stop());
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('a fault proxy without faults', () => {
  it('passes bytes and the end of the stream on, both ways', async () => {
    const peer = await dialAndGreet();
    expect(proxy.connections).toBe(1);
    peer.socket.end('world');
    await hears(peer, 'hello world');
    await happens(peer, 'end');
    await happens(serverPeers[0], 'end');
    await eventually(() => proxy.connections === 0, { what: 'the connection to be forgotten' });
    expect(proxy.accepted).toBe(1);
  });

  it('passes a reset by the server on as a reset', async () => {
    const peer = await dialAndGreet();
    serverPeers[0]?.socket.resetAndDestroy();
    await happens(peer, 'ECONNRESET');
  });

  it('carries more than it buffers, unchanged', async () => {
    const peer = dial();
    const sent = Buffer.from(new SeededRandom(2).bytes(5_000_000));
    peer.socket.write(sent);
    await eventually(() => peer.chunks.reduce((sum, { length }) => sum + length, 0) === sent.length, {
      what: 'all bytes to come back',
    });
    expect(Buffer.concat(peer.chunks).equals(sent)).toBe(true);
  });

  it('resets a connection while there is no server', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    await proxy.stop();
    proxy = await startFaultProxy({ host: '127.0.0.1', port });
    await happens(dial(), 'ECONNRESET');
  });
});

describe('delay, jitter and slices', () => {
  it('delays bytes by no less than it was told, in one direction', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toClient.delayMs = 60;
    const clock = createSystemClock();
    const startedMs = clock.elapsedMs();
    peer.socket.write('again');
    await hears(peer, 'hello again');
    expect(clock.elapsedMs() - startedMs).toBeGreaterThanOrEqual(60);
  });

  it('keeps bytes in order under jitter', async () => {
    const peer = dial();
    proxy.faults.toServer.jitterMs = 20;
    for (let i = 0; i < 20; i += 1) {
      peer.socket.write(`${String(i)},`);
      await eventually(() => peer.socket.writableLength === 0, { what: 'the write', everyMs: 1 });
    }
    await hears(peer, Array.from({ length: 20 }, (_, i) => `${String(i)},`).join(''));
  });

  it('draws the same jitter from the same seed', async () => {
    const draws: number[] = [];
    const random = new SeededRandom(9);
    const port = await startEcho();
    const jittery = await startFaultProxy({
      host: '127.0.0.1',
      port,
      random: {
        uniform: () => {
          draws.push(random.uniform());
          return draws.at(-1) ?? 0;
        },
        bytes: (length) => random.bytes(length),
      },
    });
    cleanups.push(() => jittery.stop());
    await proxy.stop();
    proxy = jittery;
    jittery.faults.toServer.jitterMs = 5;
    const peer = dial();
    for (const word of ['a', 'ab', 'abc']) {
      peer.socket.write(word.slice(-1));
      await hears(peer, word);
    }
    const expected = new SeededRandom(9);
    expect(draws).toEqual([expected.uniform(), expected.uniform(), expected.uniform()]);
  });

  it('slices bytes into small writes', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toServer.sliceBytes = 3;
    peer.socket.write('abcdefgh');
    await hears(peer, 'hello abcdefgh');
    expect(serverPeers[0]?.chunks.map((chunk) => chunk.toString())).toEqual(['hello ', 'abc', 'def', 'gh']);
  });
});

describe('hold and discard', () => {
  it('holds the bytes of one direction until they are released, in order', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toClient.hold = true;
    for (const word of ['one ', 'two ', 'three']) peer.socket.write(word);
    await eventually(() => textOf(serverPeers[0]) === 'hello one two three', { what: 'the server to get them' });
    expect(textOf(peer)).toBe('hello ');
    proxy.faults.toClient.hold = false;
    await hears(peer, 'hello one two three');
  });

  it('stops reading from the sender while it holds more than it may', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toServer.hold = true;
    const flood = Buffer.alloc(40_000_000);
    peer.socket.write(flood);
    // The kernel takes a few megabytes, the proxy one; the rest must stay with the sender.
    await eventually(() => peer.socket.writableLength > 0, { what: 'the sender to be held up' });
    proxy.faults.toServer.hold = false;
    await eventually(() => peer.chunks.reduce((sum, { length }) => sum + length, 0) === flood.length + 6, {
      what: 'all of it to come back',
    });
  });

  it('loses the bytes of one direction only, and never makes a gap in a stream', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toClient.discard = true;
    peer.socket.write('lost ');
    await eventually(() => textOf(serverPeers[0]) === 'hello lost ', { what: 'the server to get it' });
    // That what came back is lost shows only by what comes later: a new connection is whole, this one stays silent.
    proxy.faults.toClient.discard = false;
    const another = await dialAndGreet();
    peer.socket.write('more');
    await eventually(() => textOf(serverPeers[0]) === 'hello lost more', { what: 'the server to get it' });
    another.socket.write('there');
    await hears(another, 'hello there');
    expect(textOf(peer)).toBe('hello ');
    proxy.mend();
    await happens(peer, 'ECONNRESET');
    expect(another.events).toEqual([]);
  });

  it('loses the end of the stream as well', async () => {
    const peer = await dialAndGreet();
    proxy.faults.toServer.discard = true;
    peer.socket.end();
    serverPeers[0]?.socket.write('still here');
    await hears(peer, 'hello still here');
    expect(serverPeers[0]?.events).toEqual([]);
    proxy.mend();
    await happens(serverPeers[0], 'ECONNRESET');
  });
});

describe('cut, half-open, reset and mend', () => {
  it('resets both sides and refuses new connections while it is cut, and takes them after it is mended', async () => {
    const peer = await dialAndGreet();
    proxy.cut();
    await happens(peer, 'ECONNRESET');
    await happens(serverPeers[0], 'ECONNRESET');
    await happens(dial(), 'ECONNRESET');
    expect(proxy.connections).toBe(0);
    proxy.mend();
    await dialAndGreet();
  });

  it('swallows both directions of open and new connections while it is half-open', async () => {
    const peer = await dialAndGreet();
    let swallowedOf = 0;
    for (const direction of ['toServer', 'toClient'] as const) proxy.when(direction, 'lost', () => (swallowedOf += 1));
    proxy.halfOpen();
    const late = dial();
    peer.socket.write('lost');
    late.socket.write('lost');
    serverPeers[0]?.socket.write('lost');
    await eventually(() => swallowedOf === 2 && proxy.connections === 2, { what: 'the bytes to be swallowed' });
    expect(serverPeers).toHaveLength(1);
    proxy.mend();
    // Whatever had got through would have come before the reset.
    for (const swallowed of [peer, late, serverPeers[0]]) await happens(swallowed, 'ECONNRESET');
    expect(textOf(peer) + textOf(late)).toBe('hello ');
    expect(textOf(serverPeers[0])).toBe('hello ');
    await dialAndGreet();
  });

  it('keeps a connection over a half-open time in which nothing was sent', async () => {
    const peer = await dialAndGreet();
    proxy.halfOpen();
    proxy.mend();
    peer.socket.write('again');
    await hears(peer, 'hello again');
  });

  it('resets connections without refusing new ones', async () => {
    const peer = await dialAndGreet();
    proxy.reset();
    await happens(peer, 'ECONNRESET');
    await dialAndGreet();
  });

  it('takes back all faults when it is mended', async () => {
    Object.assign(proxy.faults.toServer, { delayMs: 1, jitterMs: 1, sliceBytes: 1, hold: true });
    const peer = dial();
    peer.socket.write('held');
    proxy.mend();
    await hears(peer, 'held');
    const none = { delayMs: 0, jitterMs: 0, sliceBytes: 0, discard: false, hold: false };
    expect(proxy.faults).toEqual({ toServer: none, toClient: none });
  });
});

describe('a trigger', () => {
  it('acts once, before the bytes are passed on, and lets what came before them pass', async () => {
    const peer = await dialAndGreet();
    let calls = 0;
    proxy.when('toServer', 'commit', () => {
      calls += 1;
      proxy.faults.toServer.hold = true;
    });
    peer.socket.write('claim commit release');
    await hears(peer, 'hello claim ');
    expect(calls).toBe(1);
    proxy.faults.toServer.hold = false;
    await hears(peer, 'hello claim commit release');
    peer.socket.write(' commit');
    await hears(peer, 'hello claim commit release commit');
    expect(calls).toBe(1);
  });

  it('loses the reply, and nothing before it, when it discards', async () => {
    const peer = await dialAndGreet();
    proxy.when('toClient', Buffer.from('+OK'), () => {
      proxy.faults.toClient.discard = true;
    });
    peer.socket.write('first +OK');
    await hears(peer, 'hello first ');
    await eventually(() => textOf(serverPeers[0]) === 'hello first +OK', { what: 'the server to have got it' });
    proxy.reset();
    await happens(peer, 'ECONNRESET');
    expect(textOf(peer)).toBe('hello first ');
  });

  it('finds bytes that come in several chunks, and cuts before the last of them', async () => {
    proxy.faults.toServer.sliceBytes = 2;
    const peer = await dialAndGreet();
    let at = '';
    proxy.when('toClient', 'split', () => {
      at = textOf(peer);
      proxy.cut();
    });
    peer.socket.write('a split b');
    await happens(peer, 'ECONNRESET');
    expect(at).toMatch(/^hello a s/);
    expect(at).not.toContain('split');
  });
});

describe('stopping a fault proxy', () => {
  it('ends its connections and gives the port back', async () => {
    const peer = await dialAndGreet();
    await proxy.stop();
    await proxy.stop();
    await happens(peer, 'ECONNRESET');
    const refused = watch(connect({ host: proxy.host, port: proxy.port }));
    await happens(refused, 'ECONNREFUSED');
  });
});
