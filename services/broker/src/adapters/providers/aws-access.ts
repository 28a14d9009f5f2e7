import { err, ok, type Result } from '@token-broker/foundation';
import type { AwsAccess } from '@token-broker/configuration';
import type { Lender, ProviderFailure } from '../../app/ports/provider.js';
import { AWS_CREDENTIALS, readAwsCredentials, type AwsCredentials } from './aws-credentials.js';

/** With what is signed now, and how long that is good; `undefined`: for as long as nobody takes it back. */
export interface SigningCredentials extends AwsCredentials {
  readonly remainingMs: number | undefined;
}

/** The credentials that an access stands for, at this moment. */
export async function signingCredentials(
  access: AwsAccess,
  lend: Lender,
): Promise<Result<SigningCredentials, ProviderFailure>> {
  if (access.kind === 'keys') {
    const { accessKeyId, secretAccessKey, sessionToken } = access;
    const session = sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() };
    return ok({ accessKeyId, secretAccessKey: secretAccessKey.reveal(), ...session, remainingMs: undefined });
  }
  const lent = await lend(access.source);
  if (!lent.ok) return lent;
  const { tokenType, accessToken, remainingMs } = lent.value;
  const credentials = tokenType === AWS_CREDENTIALS ? readAwsCredentials(accessToken.reveal()) : undefined;
  if (credentials !== undefined) return ok({ ...credentials, remainingMs });
  const message = `the credential of the source "${access.source}" is not one of AWS`;
  return err({ code: 'IDP_PROTOCOL', message, detail: `its type is ${tokenType}` });
}
