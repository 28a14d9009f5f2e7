import type { Bus, Subscription } from '../ports/bus.js';

interface Listener {
  readonly bus: FakeBus;
  readonly pattern: readonly string[];
  handle(payload: Uint8Array, subject: string): void;
}

/** What a message meets on its way to one receiver. */
export type Fate = 'deliver' | 'lose' | 'twice';

/** One NATS server in this process: messages arrive a little later, in order, or not at all. */
export class FakeNats {
  readonly #listeners = new Set<Listener>();
  /** Decides for each message and receiver. */
  fate: (subject: string, to: string) => Fate = () => 'deliver';

  subscribe(listener: Listener): Subscription {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  publish(subject: string, payload: Uint8Array): void {
    const tokens = subject.split('.');
    for (const listener of this.#listeners) {
      if (!matches(listener.pattern, tokens)) continue;
      const fate = this.fate(subject, listener.bus.name);
      const times = fate === 'twice' ? 2 : fate === 'deliver' ? 1 : 0;
      for (let i = 0; i < times; i++) {
        queueMicrotask(() => {
          if (listener.bus.connected) listener.handle(payload, subject);
        });
      }
    }
  }
}

export class FakeBus implements Bus {
  readonly name: string;
  connected = true;
  /** The link is dead and nobody has found out: what is published gets nowhere. */
  deadLink = false;
  readonly #nats: FakeNats;
  readonly #changes = new Set<(connected: boolean) => void>();

  constructor(nats: FakeNats, name: string) {
    this.#nats = nats;
    this.name = name;
  }

  publish(subject: string, payload: Uint8Array): boolean {
    if (this.connected && !this.deadLink) this.#nats.publish(subject, payload);
    return this.connected;
  }

  subscribe(subject: string, handle: (payload: Uint8Array, subject: string) => void): Subscription {
    return this.#nats.subscribe({ bus: this, pattern: subject.split('.'), handle });
  }

  isConnected(): boolean {
    return this.connected;
  }

  flush(): Promise<boolean> {
    return Promise.resolve(this.connected && !this.deadLink);
  }

  onConnectionChange(handle: (connected: boolean) => void): void {
    this.#changes.add(handle);
  }

  /** Cuts the link, or heals it; what was published meanwhile is lost. */
  link(connected: boolean): void {
    this.connected = connected;
    for (const change of this.#changes) change(connected);
  }
}

function matches(pattern: readonly string[], tokens: readonly string[]): boolean {
  return pattern.length === tokens.length && pattern.every((part, i) => part === '*' || part === tokens[i]);
}
