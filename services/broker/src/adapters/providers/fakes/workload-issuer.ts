import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock, systemRandom } from '@token-broker/foundation';
import { createLocalJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { onTestFinished } from 'vitest';

const clock = createSystemClock();
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const { privateKey: strangerKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const KEY_ID = 'cluster-key';

/** As clusters of Kubernetes sign tokens of service accounts. */
const ISSUER = 'https://oidc.example.com/cluster';
export const SUBJECT = 'system:serviceaccount:payments:token-broker';

type Claims = Readonly<Record<string, unknown>>;

/** A cluster that gives tokens to a workload, in a file that it replaces. */
export interface WorkloadIssuer {
  /** Where the token stands. */
  readonly file: string;
  /** Writes a new token into the file, with other claims or by a key that is not the cluster's, and returns it. */
  put(claims?: Claims, by?: 'cluster' | 'stranger'): string;
  /** Writes any text into the file. */
  write(text: string): void;
}

/** Tokens are signed by Node.js here, and verified by {@link verifyWorkload} with jose. */
export function startWorkloadIssuer(audience: string): WorkloadIssuer {
  const folder = mkdtempSync(join(tmpdir(), 'workload-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'token');
  const write = (text: string): void => {
    writeFileSync(file, text, { mode: 0o600 });
  };
  const put = (claims: Claims = {}, by: 'cluster' | 'stranger' = 'cluster'): string => {
    const nowSeconds = Math.floor(clock.wallMs() / 1_000);
    const jti = Buffer.from(systemRandom.bytes(12)).toString('hex');
    const times = { iat: nowSeconds, nbf: nowSeconds, exp: nowSeconds + 3_600 };
    const payload = { iss: ISSUER, sub: SUBJECT, aud: [audience], jti, ...times, ...claims };
    const input = [{ alg: 'RS256', kid: KEY_ID }, payload].map(encoded).join('.');
    const signature = sign('RSA-SHA256', Buffer.from(input), by === 'cluster' ? privateKey : strangerKey);
    const token = `${input}.${signature.toString('base64url')}`;
    write(`${token}\n`);
    return token;
  };
  put();
  return { file, put, write };
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** What is wrong with a token of a workload. */
export type Objection = 'signature' | 'expired' | 'issuer' | 'subject' | 'audience';

const keys = createLocalJWKSet({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256' }] });

/** Verifies a token as a cloud does that trusts the cluster, for one subject and some audiences. */
export async function verifyWorkload(
  token: string,
  trusted: { readonly audiences: readonly string[]; readonly subject?: string },
): Promise<JWTPayload | Objection> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ['RS256'],
      issuer: ISSUER,
      audience: [...trusted.audiences],
      ...(trusted.subject === undefined ? {} : { subject: trusted.subject }),
      requiredClaims: ['exp', 'sub'],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) return 'expired';
    if (error instanceof errors.JWTClaimValidationFailed) {
      if (error.claim === 'iss') return 'issuer';
      return error.claim === 'aud' ? 'audience' : 'subject';
    }
    return 'signature';
  }
}
