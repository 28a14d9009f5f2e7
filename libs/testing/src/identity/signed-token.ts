import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';

/** A JWT whose signature was found good. */
export interface SignedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

const DIGESTS: Readonly<Record<string, string>> = { '256': 'sha256', '384': 'sha384', '512': 'sha512' };

/**
 * Verifies the signature (RFC 7515) and the times of a JWT by one of these public keys: RS, PS and ES algorithms, and EdDSA.
 *
 * @returns undefined where it is no JWT, was signed by another key, is over, or not good yet
 */
export function verifySignedToken(token: string, keys: readonly JsonWebKey[]): SignedToken | undefined {
  const [head = '', body = '', signature = '', ...rest] = token.split('.');
  const header = parse(head);
  const claims = parse(body);
  if (rest.length > 0 || header === undefined || claims === undefined) return undefined;
  const data = Buffer.from(`${head}.${body}`);
  const isSigned = keys
    .filter((key) => header['kid'] === undefined || key['kid'] === undefined || key['kid'] === header['kid'])
    .some((key) => isSignedBy(key, String(header['alg']), data, Buffer.from(signature, 'base64url')));
  const now = Date.now() / 1000;
  const isOver = typeof claims['exp'] !== 'number' || claims['exp'] <= now;
  const isEarly = typeof claims['nbf'] === 'number' && claims['nbf'] > now + 1;
  return isSigned && !isOver && !isEarly ? { header, claims } : undefined;
}

function isSignedBy(jwk: JsonWebKey, algorithm: string, data: Buffer, signature: Buffer): boolean {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  if (algorithm === 'EdDSA') return verify(null, data, key, signature);
  const digest = DIGESTS[algorithm.slice(2)];
  if (digest === undefined) return false;
  switch (algorithm.slice(0, 2)) {
    case 'RS':
      return verify(digest, data, key, signature);
    case 'PS':
      // RSA_PKCS1_PSS_PADDING, with a salt as long as the digest (RFC 7518 §3.5).
      return verify(digest, data, { key, padding: 6, saltLength: -1 }, signature);
    case 'ES':
      return verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
    default:
      return false;
  }
}

function parse(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
