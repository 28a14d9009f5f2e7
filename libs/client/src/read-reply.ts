import { decode, failure, failureReplySchema, LIMITS, TokenBrokerError } from '@token-broker/protocol';
import type { z } from 'zod';

/**
 * What a broker has replied.
 *
 * @throws {TokenBrokerError} with the broker's code where it has refused; `INTERNAL` where the reply cannot be read
 */
export function readReply<S extends z.ZodType>(schema: S, data: Uint8Array): z.output<S> {
  const reply = decode(schema, data, LIMITS.replyBytes);
  if (reply.ok) return reply.value;
  const refused = decode(failureReplySchema, data, LIMITS.replyBytes);
  const { code, message, retryAfterMs } = refused.ok
    ? refused.value.error
    : failure('INTERNAL', `a broker's reply cannot be read: ${reply.error}`);
  throw new TokenBrokerError(failure(code, message, retryAfterMs));
}
