import { err, type Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { Exchange } from '../http/exchange.js';
import type { HttpAnswer } from '../http/http-client.js';
import { notNow, saidIn, unserved, type FailureContext } from '../http/http-failure.js';
import { parseObject } from '../http/json-object.js';

/** Not here, or not yet: what was written has not arrived (412), a secondary of disaster recovery (472), a performance standby (473). */
const ELSEWHERE: ReadonlySet<number> = new Set([412, 472, 473]);

/** Of a login, these are about who logs in, and not about what for. */
const OF_LOGIN: ReadonlySet<number> = new Set([400, 401, 403]);

/** What it means that Vault did not do what it was asked for. */
export function failureOfVault(
  reply: Exchange,
  context: FailureContext,
  step: 'login' | 'secret' | 'revocation',
): ProviderFailure {
  const { status } = reply;
  const said = saidIn(reply, 'Vault refuses', context);
  if (ELSEWHERE.has(status)) return unserved(reply, said, context);
  const later = notNow(reply, said, context);
  if (later !== undefined) return later;
  const isOfVault = status >= 400 && Array.isArray(parseObject(reply.text)?.['errors']);
  if (!isOfVault && status !== 401 && status !== 403)
    return { code: 'IDP_PROTOCOL', message: `the reply is not one of Vault (status ${String(status)})`, detail: said };
  const isOfCredential = step === 'login' && OF_LOGIN.has(status);
  return {
    code: 'IDP_DENIED',
    message: isOfCredential ? 'Vault refused the login' : `Vault refused ${context.asked}: ${reasonOf(status)}`,
    detail: said,
    ...(isOfCredential ? { refused: 'credential' as const } : {}),
  };
}

/** A reply that reports success, and is not what it should be. */
export function refusedReply({ reply, context }: HttpAnswer, problem: string): Result<never, ProviderFailure> {
  return err({
    code: 'IDP_PROTOCOL',
    message: `the reply of Vault is refused: ${problem}`,
    detail: saidIn(reply, problem, context),
  });
}

function reasonOf(status: number): string {
  switch (status) {
    case 400:
      return 'it cannot be done so';
    case 403:
      return 'the policies of the role do not allow it';
    case 404:
      return 'there is no such path, or it may not be known';
    case 405:
      return 'the path is for reading or for writing alone';
    default:
      return `status ${String(status)}`;
  }
}
