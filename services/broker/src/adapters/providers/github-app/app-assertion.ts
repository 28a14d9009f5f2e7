import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { GitHubAppSourceConfiguration } from '@token-broker/configuration';
import { Redacted, type Clock } from '@token-broker/foundation';
import { SignJWT } from 'jose';

/** GitHub wants it: its clock may be behind this one. */
const BACKDATED_SECONDS = 60;
/** GitHub takes no `exp` that is more than ten minutes ahead; from `iat` on, so that a clock that is a minute ahead does no harm. */
const LIFE_SECONDS = 600;

/** Makes the assertions by which an app proves itself: a JWT (RS256) for each request. */
export function createAppAssertions(
  { appId, privateKey }: Pick<GitHubAppSourceConfiguration, 'appId' | 'privateKey'>,
  clock: Clock,
): () => Promise<Redacted> {
  let key: KeyObject | undefined;
  return async () => {
    key ??= imported(privateKey);
    const issuedAt = Math.floor(clock.wallMs() / 1_000) - BACKDATED_SECONDS;
    const assertion = await new SignJWT()
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setIssuer(appId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + LIFE_SECONDS)
      .sign(key);
    return new Redacted(assertion);
  };
}

/** PKCS #1 or PKCS #8: jose itself reads the latter alone. */
function imported(privateKey: Redacted): KeyObject {
  try {
    return createPrivateKey(privateKey.reveal());
  } catch {
    // Errors of parsers quote what they parse.
    throw new Error('the private key of the app cannot sign');
  }
}
