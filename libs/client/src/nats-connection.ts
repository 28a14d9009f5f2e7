/**
 * What the client needs of a NATS connection. Connections of `nats` 2.x and of `@nats-io/transport-node` 3.x both have
 * it, so this package depends on neither.
 */
export interface NatsConnectionLike {
  /**
   * Headers, where there are any, are an object with the method `encode(): Uint8Array`: that is all that both libraries use of
   * theirs. The types that they name for it have nothing else in common, and so it is of none here.
   */
  publish(subject: string, data?: Uint8Array, options?: { reply?: string; headers?: never }): void;
  subscribe(subject: string, options: { callback: NatsCallback }): NatsSubscriptionLike;
  /** Changes of the connection. `disconnect`, `reconnect` and `error` are read. */
  status(): AsyncIterable<NatsStatusLike>;
  flush(): Promise<void>;
  isClosed(): boolean;
}

export type NatsCallback = (error: Error | null, message: NatsMessageLike) => void;

export interface NatsSubscriptionLike {
  unsubscribe(): void;
}

export interface NatsMessageLike {
  readonly subject: string;
  readonly data: Uint8Array;
  /** `code` 503 on an empty message: nobody subscribes to the subject of the request. */
  readonly headers?: { readonly code: number };
}

export interface NatsStatusLike {
  readonly type: string;
}

/** A publish that the server refused by permission. */
export interface RefusedPublish {
  readonly subject: string;
}

/**
 * The subject of a publish that the server refused, where a status says so: `permissionContext` in 2.x, an error with
 * `operation` and `subject` in 3.x.
 */
export function refusedPublishOf(status: NatsStatusLike): RefusedPublish | undefined {
  const { permissionContext, error } = status as { permissionContext?: unknown; error?: unknown };
  for (const candidate of [permissionContext, error]) {
    if (typeof candidate !== 'object' || candidate === null) continue;
    const { operation, subject } = candidate as { operation?: unknown; subject?: unknown };
    if (operation === 'publish' && typeof subject === 'string') return { subject };
  }
  return undefined;
}
