import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';
import type { HttpAnswer } from './http-client.js';
import { saidIn } from './http-failure.js';
import { parseObject, type JsonObject } from './json-object.js';

/**
 * Reads a successful token response (RFC 6749 §5.1) of a service that always states a life. The bounds of what it holds are
 * the guard's.
 *
 * @param objection what else has to be right: a problem in words, without values
 */
export function readBearer(
  answer: HttpAnswer,
  objection: (body: JsonObject) => string | undefined = () => undefined,
): Result<IssuedToken, ProviderFailure> {
  const body = parseObject(answer.reply.text);
  if (body === undefined) return refuseReply(answer, 'it is not a JSON object');
  const { access_token: accessToken, token_type: tokenType } = body;
  if (typeof accessToken !== 'string' || accessToken === '') return refuseReply(answer, 'it has no access_token');
  if (typeof tokenType !== 'string' || tokenType.toLowerCase() !== 'bearer')
    return refuseReply(answer, 'token_type is not Bearer');
  const lifeMs = lifeMsIn(body['expires_in']);
  if (lifeMs === undefined) return refuseReply(answer, 'expires_in is not a positive number of seconds');
  const problem = objection(body);
  if (problem !== undefined) return refuseReply(answer, problem);
  return ok({ accessToken: new Redacted(accessToken), tokenType: 'Bearer', lifeMs });
}

/** A reply that reports success, and is none. */
export function refuseReply({ reply, context }: HttpAnswer, problem: string): Result<never, ProviderFailure> {
  return err({
    code: 'IDP_PROTOCOL',
    message: `the identity provider's reply is refused: ${problem}`,
    detail: saidIn(reply, problem, context),
  });
}

/** Some services write the number as text. */
function lifeMsIn(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0
    ? Math.floor(seconds * 1_000)
    : undefined;
}
