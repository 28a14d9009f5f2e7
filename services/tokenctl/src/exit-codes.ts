import type { ErrorCode } from '@token-broker/protocol';

/** What a script can tell apart. `docs/tokenctl.md` is the reference. */
export const EXIT = {
  ok: 0,
  /** It ran, but not all that was asked for is true: a revocation is incomplete, near caches have not confirmed. */
  failed: 1,
  /** The command line or a configuration is wrong: the same call fails again. */
  usage: 2,
  /** NATS, brokers, Redis or an identity provider cannot be reached, or time ran out: the same call may work later. */
  unavailable: 3,
  /** Somebody said no: NATS, the callers' policy or an identity provider. */
  denied: 4,
  /** Nothing matched, and `--fail-if-nothing` was given. */
  nothing: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_OF: Readonly<Record<ErrorCode, ExitCode>> = {
  BAD_REQUEST: EXIT.usage,
  UNKNOWN_SOURCE: EXIT.usage,
  FORBIDDEN: EXIT.denied,
  IDP_DENIED: EXIT.denied,
  REAUTH_REQUIRED: EXIT.denied,
  PAUSED: EXIT.unavailable,
  IDP_UNAVAILABLE: EXIT.unavailable,
  IDP_TIMEOUT: EXIT.unavailable,
  QUOTA_EXHAUSTED: EXIT.unavailable,
  STORE_UNAVAILABLE: EXIT.unavailable,
  REVOKED: EXIT.unavailable,
  STALE: EXIT.unavailable,
  DEADLINE: EXIT.unavailable,
  BROKER_UNAVAILABLE: EXIT.unavailable,
  IDP_PROTOCOL: EXIT.failed,
  CLOSED: EXIT.failed,
  INTERNAL: EXIT.failed,
};
