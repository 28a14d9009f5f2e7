/** What is fixed about one error code. */
export interface ErrorEntry {
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** The nearest HTTP status, for doors that speak HTTP. */
  readonly httpStatus: number;
  /** What the reader of the error can do. */
  readonly remedy: string;
}

/** The closed table of errors: a code crosses the wire, its cause does not. */
export const ERRORS = {
  BAD_REQUEST: { retryable: false, httpStatus: 400, remedy: 'Correct the request; the message names the field.' },
  UNKNOWN_SOURCE: {
    retryable: false,
    httpStatus: 404,
    remedy: 'Check the name against `sources:` of the configuration.',
  },
  FORBIDDEN: { retryable: false, httpStatus: 403, remedy: 'Ask an operator to extend the caller under `callers:`.' },
  IDP_DENIED: {
    retryable: false,
    httpStatus: 502,
    remedy: "Check the source's credentials, scopes and audience at the identity provider.",
  },
  IDP_UNAVAILABLE: {
    retryable: true,
    httpStatus: 503,
    remedy: 'Try again after `retryAfterMs`; the identity provider cannot be reached or fails.',
  },
  IDP_TIMEOUT: { retryable: true, httpStatus: 504, remedy: "Try again; if it persists raise the source's `timeout`." },
  IDP_PROTOCOL: {
    retryable: false,
    httpStatus: 502,
    remedy: "The identity provider's reply breaks the protocol; the broker's log says how.",
  },
  QUOTA_EXHAUSTED: {
    retryable: true,
    httpStatus: 429,
    remedy: "Try again after `retryAfterMs`; `tokenctl status` shows the budget, the source's `quota` sets it.",
  },
  REAUTH_REQUIRED: {
    retryable: false,
    httpStatus: 409,
    remedy: 'An operator must authorise the source again and run `tokenctl refresh-token set SOURCE`.',
  },
  PAUSED: {
    retryable: false,
    httpStatus: 503,
    remedy: 'An operator has paused this source; `tokenctl resume SOURCE` lets the brokers fetch again.',
  },
  STORE_UNAVAILABLE: {
    retryable: true,
    httpStatus: 503,
    remedy: 'Try again; the brokers cannot use Redis. Their log names the command.',
  },
  REVOKED: {
    retryable: true,
    httpStatus: 409,
    remedy: 'The identity provider still returns the revoked token. Try again later.',
  },
  STALE: {
    retryable: true,
    httpStatus: 503,
    remedy: 'This client was cut off for longer than its staleness bound. Check its connection to NATS.',
  },
  DEADLINE: {
    retryable: true,
    httpStatus: 504,
    remedy: 'Try again with more time; the fetch goes on and may have finished.',
  },
  BROKER_UNAVAILABLE: {
    retryable: true,
    httpStatus: 503,
    remedy: 'Try again; no broker answers. Check that one is connected to NATS.',
  },
  CLOSED: { retryable: false, httpStatus: 499, remedy: 'The client was closed; use it before `close()`.' },
  INTERNAL: {
    retryable: true,
    httpStatus: 500,
    remedy: "A bug: report it with the broker's log lines of this moment.",
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** A failure as it crosses the wire. The message is written for the caller and holds no secret and no IdP text. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  /** When it makes sense to try again, from now. */
  readonly retryAfterMs?: number;
}

export function failure(code: ErrorCode, message: string, retryAfterMs?: number): Failure {
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}

/** What clients throw. `code` is stable; `retryable` and `remedy` come from the table. */
export class TokenBrokerError extends Error {
  override readonly name = 'TokenBrokerError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly remedy: string;

  constructor(cause: Failure) {
    super(cause.message);
    const entry = ERRORS[cause.code];
    this.code = cause.code;
    this.retryable = entry.retryable;
    this.remedy = entry.remedy;
    this.retryAfterMs = cause.retryAfterMs;
  }
}
