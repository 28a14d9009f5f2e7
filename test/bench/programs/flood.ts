import { percentileOf } from '../harness/figures.js';
import { serveMethods } from '../harness/serve-methods.js';
import { openRaw, type RawConnection } from './raw-connection.js';

/**
 * The load generator. It keeps a number of requests in flight, each with a reply subject of its own, or sends them one
 * after the other and times each.
 */

/** Requests that lie ready to be sent, so that sending is copying. */
const READY_REQUESTS = 4_096;

interface Side {
  readonly connection: RawConnection;
  /** Requests of equal length, one behind the other. */
  readonly ready: Buffer;
  readonly requestBytes: number;
}

export interface FloodFigures {
  readonly perSecond: number;
  /** Processor time of this process, as a share of one core. */
  readonly generatorCpu: number;
}

const sides = new Map<string, Side>();

const methods = {
  async open({ side, url, user, subject }: { side: string; url: string; user: string; subject: string }) {
    const connection = await openRaw(url, user);
    const requests = Array.from({ length: READY_REQUESTS }, (_, index) =>
      connection.request(subject, String(index).padStart(6, '0')),
    );
    sides.set(side, { connection, ready: Buffer.concat(requests), requestBytes: requests[0]?.length ?? 0 });
  },

  flood({ side, inFlight, forMs }: { side: string; inFlight: number; forMs: number }) {
    const { connection, ready, requestBytes } = sideOf(side);
    let next = 0;
    const send = (count: number): void => {
      if (next + count > READY_REQUESTS) next = 0;
      connection.socket.write(ready.subarray(next * requestBytes, (next + count) * requestBytes));
      next += count;
    };
    return new Promise<FloodFigures>((resolve) => {
      let answered = 0;
      let waiting = inFlight;
      const cpu = process.cpuUsage();
      const startedAtMs = performance.now();
      let figures: FloodFigures | undefined;
      connection.onReplies = (replies) => {
        answered += replies;
        if (figures === undefined) {
          const tookMs = performance.now() - startedAtMs;
          if (tookMs < forMs) {
            send(replies);
            return;
          }
          const { user, system } = process.cpuUsage(cpu);
          figures = { perSecond: answered / (tookMs / 1_000), generatorCpu: (user + system) / 1_000 / tookMs };
        }
        // What is still in flight belongs to nobody's figures, not even to the next one's.
        waiting -= replies;
        if (waiting === 0) resolve(figures);
      };
      send(inFlight);
    });
  },

  /** Times so many requests, one after the other, in milliseconds. */
  async latency({ side, count }: { side: string; count: number }) {
    const { connection, ready, requestBytes } = sideOf(side);
    const tookMs = new Float64Array(count);
    for (let index = 0; index < count; index++) {
      const at = (index % READY_REQUESTS) * requestBytes;
      await new Promise<void>((resolve) => {
        const sentAtMs = performance.now();
        connection.onReplies = () => {
          tookMs[index] = performance.now() - sentAtMs;
          resolve();
        };
        connection.socket.write(ready.subarray(at, at + requestBytes));
      });
    }
    return { p50: percentileOf(tookMs, 0.5), p99: percentileOf(tookMs, 0.99) };
  },
};
export type FloodMethods = typeof methods;
serveMethods(methods);

function sideOf(name: string): Side {
  const side = sides.get(name);
  if (side === undefined) throw new Error(`${name} was not opened`);
  return side;
}
