/** What a process of subscribers is told at its start. */
export interface SubscriberSettings {
  readonly address: string;
  readonly caller: string;
  readonly password: string;
  readonly connections: number;
  /** On each connection. */
  readonly subscriptions: number;
  /** Of these, in all, so many never answer. */
  readonly silent: number;
}

/** The line that it prints when all of them are known to the brokers. */
export const READY = 'ready';
