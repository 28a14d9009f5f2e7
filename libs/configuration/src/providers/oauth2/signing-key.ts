import { createPrivateKey, createPublicKey, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { ok, Redacted, type Result } from '@token-broker/foundation';
import type { z } from 'zod';
import type { SigningAlgorithm, SigningKey } from '../../configuration.js';
import { choice, text } from '../../scalars.js';
import { refuse, setting, valuesOf, wrongKind, type Refusal, type Report, type Setting } from '../../settings.js';

const ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA'] as const),
] satisfies readonly SigningAlgorithm[];

/** RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used". */
const MIN_RSA_BITS = 2_048;

/** ECDSA algorithms by the curve that they are for (RFC 7518 §3.4), in the names that OpenSSL has for the curves. */
const ECDSA: ReadonlyMap<string, SigningAlgorithm> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
]);

/** A private key that was parsed, and what it can sign. */
export interface ParsedSigningKey {
  readonly privateKey: Redacted;
  /** The first is the default. */
  readonly algorithms: readonly [SigningAlgorithm, ...SigningAlgorithm[]];
  /** `kid` of a JWK. */
  readonly keyId?: string;
}

const HOW_TO_WRITE = 'PKCS #8 in PEM ("-----BEGIN PRIVATE KEY-----") or a JWK; for a file: "${file:/path/to/key.pem}"';

/** PKCS #8 in PEM, or a JWK as JSON text. */
function signingKey(description: string): Setting<ParsedSigningKey> {
  return setting({ type: 'string', minLength: 1, writeOnly: true, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('PEM or JWK text', input), HOW_TO_WRITE);
    const written = input.trim();
    if (written === '') return refuse('the secret is empty');
    return written.startsWith('{') || written.startsWith('[') ? parseJwk(written) : parsePem(written);
  });
}

function parsePem(written: string): Result<ParsedSigningKey, Refusal> {
  if (written.includes('ENCRYPTED'))
    return refuse(
      'the private key is encrypted',
      'store it without a passphrase, in a file that only the broker can read',
    );
  const [block] = /-----BEGIN PRIVATE KEY-----[^-]*-----END PRIVATE KEY-----/.exec(written) ?? [];
  if (block === undefined) {
    return /BEGIN (RSA|EC) PRIVATE KEY/.test(written)
      ? refuse('the private key is not in PKCS #8', 'convert it with: openssl pkcs8 -topk8 -nocrypt -in key.pem')
      : refuse('is not a private key', HOW_TO_WRITE);
  }
  const key = parsed(() => createPrivateKey(block));
  if (key === undefined) return refuse('the private key does not parse', HOW_TO_WRITE);
  const algorithms = algorithmsOf(key);
  return algorithms.ok ? ok({ privateKey: new Redacted(block), algorithms: algorithms.value }) : algorithms;
}

function parseJwk(written: string): Result<ParsedSigningKey, Refusal> {
  const jwk = valuesOf(parsed(() => JSON.parse(written) as unknown)) as JsonWebKey;
  const { kty, d, kid, alg, use, key_ops: uses, keys } = jwk;
  if (keys !== undefined) return refuse('is a set of keys (JWKS)', 'write the one key that signs');
  if (kty === undefined) return refuse('is not a JWK', HOW_TO_WRITE);
  if (kty === 'oct') return refuse('is a symmetric key', 'RSA, EC or Ed25519');
  if (d === undefined) return refuse('the JWK holds no private key', 'it has no "d"');
  const isForSigning = (use === undefined || use === 'sig') && (!Array.isArray(uses) || uses.includes('sign'));
  if (!isForSigning) return refuse('the JWK is not for signing', 'its "use" or "key_ops" says so');
  const key = parsed(() => createPrivateKey({ key: jwk, format: 'jwk' }));
  if (key === undefined) return refuse('the JWK does not parse', 'RSA, EC (P-256, P-384, P-521) or Ed25519');
  const fitting = algorithmsOf(key);
  if (!fitting.ok) return fitting;
  if (!isOnePair(key, jwk)) return refuse('the private and the public part of the JWK do not belong together');
  const stated = fitting.value.find((algorithm) => algorithm === alg);
  if (alg !== undefined && stated === undefined)
    return refuse('the "alg" of the JWK does not fit the key', `it signs ${fitting.value.join(', ')}`);
  return ok({
    privateKey: new Redacted(written),
    algorithms: stated === undefined ? fitting.value : [stated],
    ...(typeof kid === 'string' && kid !== '' ? { keyId: kid } : {}),
  });
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function algorithmsOf(key: KeyObject): Result<ParsedSigningKey['algorithms'], Refusal> {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return modulusLength < MIN_RSA_BITS
        ? refuse(`the RSA key has ${String(modulusLength)} bits`, `at least ${String(MIN_RSA_BITS)}`)
        : ok(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']);
    case 'rsa-pss':
      return refuse('the key is marked for RSASSA-PSS alone', 'a plain RSA key signs PS256 as well');
    case 'ec': {
      const algorithm = ECDSA.get(namedCurve);
      return algorithm === undefined
        ? refuse('no signing algorithm is for the curve of this key', 'P-256, P-384 or P-521')
        : ok([algorithm]);
    }
    case 'ed25519':
      return ok(['EdDSA']);
    default:
      return refuse('is not a key that signs', 'RSA, EC or Ed25519');
  }
}

/** OpenSSL believes some JWKs: whether what the private part signs is what the public part verifies takes trying. */
function isOnePair(key: KeyObject, jwk: JsonWebKey): boolean {
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const data = Buffer.from('one pair');
  // Of a JWK, createPublicKey reads the public members alone.
  const isSigned = parsed(() =>
    verify(digest, data, createPublicKey({ key: jwk, format: 'jwk' }), sign(digest, data, key)),
  );
  return isSigned === true;
}

/** `privateKey`, `keyId` and `signingAlgorithm` of a mapping. */
export function signingKeySettings(usedFor: string): {
  readonly privateKey: z.ZodOptional<Setting<ParsedSigningKey>>;
  readonly keyId: z.ZodOptional<Setting<string>>;
  readonly signingAlgorithm: z.ZodOptional<Setting<SigningAlgorithm>>;
} {
  return {
    privateKey: signingKey(`The private key that signs ${usedFor}: PKCS #8 in PEM, or a JWK as JSON text.`).optional(),
    keyId: text('`kid` of what is signed. Default: that of the JWK, if there is one.').optional(),
    signingAlgorithm: choice(
      'JWS algorithm; it must fit the key. Default: that of the JWK, else RS256, ES256, ES384, ES512 or EdDSA by the key.',
      ALGORITHMS,
    ).optional(),
  };
}

/** As a mapping with {@link signingKeySettings} holds them. */
export interface WrittenSigningKey {
  readonly privateKey?: ParsedSigningKey | undefined;
  readonly keyId?: string | undefined;
  readonly signingAlgorithm?: SigningAlgorithm | undefined;
}

/** Reports at `path` an algorithm that the key cannot sign. Either may have been refused, or be missing. */
export function checkAlgorithm(path: readonly string[], key: unknown, algorithm: unknown, report: Report): void {
  if (!isParsed(key) || typeof algorithm !== 'string') return;
  if (!key.algorithms.some((fitting) => fitting === algorithm))
    report(path, 'does not fit the private key', `it signs ${key.algorithms.join(', ')}`);
}

function isParsed(key: unknown): key is ParsedSigningKey {
  return typeof key === 'object' && key !== null && 'algorithms' in key;
}

export function toSigningKey({ privateKey, keyId, signingAlgorithm }: WrittenSigningKey): SigningKey {
  if (privateKey === undefined) throw new Error('a signature without a private key passed its check');
  const kid = keyId ?? privateKey.keyId;
  return Object.freeze({
    privateKey: privateKey.privateKey,
    algorithm: signingAlgorithm ?? privateKey.algorithms[0],
    ...(kid === undefined ? {} : { keyId: kid }),
  });
}
