/** The bounds of every message: what is above them is refused before it is understood. */
export const LIMITS = {
  /** Bytes of a request's body. */
  requestBytes: 64 * 1024,
  /** Bytes of a reply or an event. Below the 1 MiB that a NATS server takes by default. */
  replyBytes: 512 * 1024,
  /** Nesting of objects and arrays. */
  depth: 8,
  /** Characters of a scope, an audience, a resource. */
  parameterCharacters: 256,
  /** Scopes in one request. */
  scopes: 64,
  /** Characters of a subject token, an actor token, a refresh token. */
  subjectTokenCharacters: 16 * 1024,
  /** Characters of the user name that a credential carries. */
  usernameCharacters: 256,
  /** Changes in one invalidation message. */
  changesPerInvalidation: 500,
  /** Slots in one sync request. */
  slotsPerSync: 2_000,
  /** The longest that a request may ask a broker to hold it. */
  deadlineMs: 120_000,
} as const;
