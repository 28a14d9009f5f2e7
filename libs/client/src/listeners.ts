import type { ClientLogger } from './logger.js';

/** Ends a registration. Calling it again does nothing. */
export type Unsubscribe = () => void;

/**
 * Typed events. Listeners run at once, after the state has changed; one that throws is logged and disturbs neither the
 * others nor the client.
 */
export class Listeners<Events extends object> {
  readonly #logger: ClientLogger;
  readonly #byEvent = new Map<keyof Events, Set<(event: never) => void>>();

  constructor(logger: ClientLogger) {
    this.#logger = logger;
  }

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Unsubscribe {
    const listeners = this.#byEvent.get(name) ?? new Set();
    this.#byEvent.set(name, listeners);
    // A function of its own, so that the same listener may be registered twice.
    const registered = (event: Events[Name]): void => {
      listener(event);
    };
    listeners.add(registered);
    return () => {
      listeners.delete(registered);
      if (listeners.size === 0 && this.#byEvent.get(name) === listeners) this.#byEvent.delete(name);
    };
  }

  get isEmpty(): boolean {
    return this.#byEvent.size === 0;
  }

  has(name: keyof Events): boolean {
    return this.#byEvent.has(name);
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#byEvent.get(name);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        (listener as (event: Events[Name]) => void)(event);
      } catch (error) {
        this.#logger.warn(
          `a listener of '${String(name)}' failed: ${error instanceof Error ? error.message : 'unknown'}`,
        );
      }
    }
  }

  clear(): void {
    this.#byEvent.clear();
  }
}
