import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { machineNs } from '../harness/machine.js';

/**
 * Notes when bytes of an invalidation or a heartbeat leave this process: loaded before a broker (`--import`), it prints each
 * moment on a line of its own; a worker asks for the last one. It is one look at each buffer that is written to a socket.
 */
const KINDS = ['invalidation', 'heartbeat'] as const;
export type WireKind = (typeof KINDS)[number];

const counts = new Map<WireKind, number>();
let lastAtNs = Number.NaN;

const write = Reflect.get(Socket.prototype, 'write') as (this: Socket, ...args: unknown[]) => boolean;
Socket.prototype.write = function noted(this: Socket, ...args: unknown[]): boolean {
  const [data] = args;
  const bytes = data instanceof Uint8Array ? Buffer.from(data.buffer, data.byteOffset, data.length) : undefined;
  const kind = KINDS.find((each) => bytes?.includes(`.v1.${each}`));
  if (kind === undefined) return write.apply(this, args);
  lastAtNs = machineNs();
  const more = write.apply(this, args);
  const count = (counts.get(kind) ?? 0) + 1;
  counts.set(kind, count);
  // After the bytes have left: printing must not delay them.
  if (process.send === undefined) writeSync(1, `wire ${kind} ${String(count)} ${String(lastAtNs)}\n`);
  return more;
};

export function lastWireNs(): number {
  return lastAtNs;
}
