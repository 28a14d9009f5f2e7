import type { SigningKey } from '@token-broker/configuration';
import { importJWK, importPKCS8, type CryptoKey, type JWK } from 'jose';
import { parseObject } from '../http/json-object.js';

/** A private key in the form that signs. */
export interface ImportedKey {
  readonly key: CryptoKey;
  /** As configured, else as the JWK names itself. */
  readonly keyId: string | undefined;
}

/**
 * Imports a private key, PKCS #8 in PEM or a JWK, so that it cannot be exported again.
 *
 * @throws {Error} one that tells nothing of the key
 */
async function importSigningKey({ privateKey, algorithm, keyId }: SigningKey): Promise<ImportedKey> {
  const text = privateKey.reveal().trim();
  try {
    if (!text.startsWith('{')) return { key: await importPKCS8(text, algorithm), keyId };
    const jwk = parseObject(text) as JWK;
    const key = await importJWK({ ...jwk, ext: false }, algorithm);
    if (key instanceof Uint8Array || key.type !== 'private') throw new TypeError('not a private key');
    return { key, keyId: keyId ?? (typeof jwk.kid === 'string' ? jwk.kid : undefined) };
  } catch {
    // Errors of parsers quote what they parse.
    throw new Error(`the private key cannot sign by ${algorithm}`);
  }
}

/** Imports a key when it is first needed, and once. */
export function keyOnDemand(key: SigningKey): () => Promise<ImportedKey> {
  let imported: Promise<ImportedKey> | undefined;
  return () => (imported ??= importSigningKey(key));
}
