import type { Failure } from '@token-broker/protocol';

/** Tells the refusal from what was asked for, where a use case returns either. */
export function isFailure(value: object): value is Failure {
  return 'code' in value && 'message' in value;
}
