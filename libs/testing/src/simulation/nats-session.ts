import type { Scheduled } from './event-loop.js';

/** What a driver sends. */
export type ToServer =
  | { readonly kind: 'open' | 'connect' | 'ping' | 'close' }
  | { readonly kind: 'subscribe'; readonly sid: number; readonly subject: string; readonly queue: string }
  | { readonly kind: 'unsubscribe'; readonly sid: number }
  | { readonly kind: 'publish'; readonly subject: string; readonly data: Uint8Array; readonly reply: string };

/** What the server sends. */
export type ToClient =
  { readonly kind: 'info' | 'welcome' | 'pong' } | { readonly kind: 'close'; readonly error?: string } | MessageFrame;

export interface MessageFrame {
  readonly kind: 'message';
  readonly sid: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string;
  readonly headers?: { readonly code: number };
}

/** A subscription as the server knows it. */
export interface ServerSubscription {
  readonly session: NatsSession;
  readonly sid: number;
  readonly subject: string;
  readonly queue: string;
}

/** The other end of a session, as the server needs it. */
export interface SessionPeer {
  /** Sends what belongs to the protocol. */
  tell(session: NatsSession, frame: ToClient): void;
  deliver(session: NatsSession, frame: MessageFrame): void;
  /** What the server has not got rid of yet goes with it. */
  discard(session: NatsSession): void;
  /** Messages that were sent and that the process has not taken. */
  readonly untaken: number;
  /** Whether this is the session that the driver goes by, and nothing of its streams is missing. */
  isOn(session: NatsSession): boolean;
  /** Whether it would answer a ping of the server. */
  answers(session: NatsSession): boolean;
}

/** One TCP session between a driver and the server. */
export class NatsSession {
  readonly peer: SessionPeer;
  readonly subscriptions = new Map<number, ServerSubscription>();
  /** Whether the server has it. */
  isOpen = false;
  /** Broken from outside: it cannot be opened any more. */
  isReset = false;
  /** Whether it has missed the last ping of the server. */
  isSuspect = false;
  check: Scheduled | undefined;

  constructor(peer: SessionPeer) {
    this.peer = peer;
  }
}
