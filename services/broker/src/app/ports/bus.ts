import type { TraceContext } from '../../domain/trace-context.js';

/** A standing wish for messages. */
export interface Subscription {
  close(): void;
}

/**
 * NATS as the broker sees it: at most once, in order from one publisher, nothing kept. Obligations of an implementation:
 * payloads may be changed by the caller after `publish` returned only if the implementation has copied them (ours are never
 * changed); a handler that throws ends nothing.
 */
export interface Bus {
  /** `false` when the message is known not to leave this process: the connection is away. */
  publish(subject: string, payload: Uint8Array): boolean;
  subscribe(subject: string, handle: (payload: Uint8Array, subject: string) => void): Subscription;
  isConnected(): boolean;
  /** Resolves `true` when the server has taken everything published so far; `false` after `limitMs`. */
  flush(limitMs: number): Promise<boolean>;
  /** Calls back on each change of {@link Bus.isConnected}. */
  onConnectionChange(handle: (connected: boolean) => void): void;
}

/** A request whose subject the NATS server has enforced and whose reply subject is the caller's own inbox. */
export interface ServiceRequest {
  readonly verb: 'get' | 'rejected' | 'sync' | 'admin';
  readonly caller: string;
  /** Source of `get` and `rejected`; operation of `admin`; empty for `sync`. */
  readonly target: string;
  /** The subject itself: one text a plain request can be looked up by. */
  readonly subject: string;
  readonly body: Uint8Array;
  /** Of a request that brought a `traceparent`. May be read from the headers when it is asked for: a hit does not ask. */
  readonly trace?: TraceContext | undefined;
}

/** Answers one request: at once where it can, so that a hit costs no promise. It never throws and never rejects. */
export type ServiceHandler = (request: ServiceRequest) => Uint8Array | Promise<Uint8Array>;

/** The door for requests: a NATS micro service whose replicas share one queue group. */
export interface Service {
  start(handle: ServiceHandler): Promise<void>;
  /** Takes no new requests, waits until those under way are answered (at most `limitMs`), then leaves. */
  drain(limitMs: number): Promise<void>;
  isConnected(): boolean;
}
