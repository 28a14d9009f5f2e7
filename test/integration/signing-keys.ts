import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto';

/** A key pair of a client, made for one run of the tests. */
export interface SigningPair {
  /** PKCS #8, PEM: for the broker. */
  readonly pem: string;
  /** The same as JSON text, with its key id. */
  readonly jwk: string;
  /** The bytes of the key that must be seen nowhere, in base64url. */
  readonly secretPart: string;
  /** For the identity provider. */
  readonly publicKey: JsonWebKey;
  /** A JWT of the key. */
  sign(claims: object): string;
}

/** A key for ES256. */
export function createSigningPair(keyId: string): SigningPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const about = { kid: keyId, use: 'sig', alg: 'ES256' };
  const whole = privateKey.export({ format: 'jwk' });
  return {
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    jwk: JSON.stringify({ ...whole, ...about }),
    secretPart: String(whole.d),
    publicKey: { ...publicKey.export({ format: 'jwk' }), ...about },
    sign(claims) {
      const parts = [{ alg: 'ES256', kid: keyId }, claims];
      const data = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      const signature = sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${data}.${signature.toString('base64url')}`;
    },
  };
}
