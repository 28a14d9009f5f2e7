import type { MessageFrame } from './nats-session.js';

/** Where replies go out. */
interface Publisher {
  publish(subject: string, data: Uint8Array): void;
}

/** A message as a driver hands it out. */
export class SimulatedMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** `''`: nobody asked for a reply. */
  readonly reply: string;
  /** `code` 503: the answer of the server to a request that nobody subscribes to. */
  readonly headers?: { readonly code: number };
  readonly #publisher: Publisher;

  constructor(publisher: Publisher, { subject, data, reply, headers }: MessageFrame) {
    this.#publisher = publisher;
    this.subject = subject;
    this.data = data;
    this.reply = reply;
    if (headers !== undefined) this.headers = headers;
  }

  /** `false`: there is no reply subject. */
  respond(data: Uint8Array = new Uint8Array(0)): boolean {
    if (this.reply === '') return false;
    this.#publisher.publish(this.reply, data);
    return true;
  }
}
