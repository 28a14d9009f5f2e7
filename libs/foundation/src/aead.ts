/**
 * Authenticated encryption with additional data, as a port. A sealed value is self-contained: nonce, ciphertext and tag.
 */
export interface Aead {
  /** Seals under a 32-byte key with a fresh random nonce. */
  seal(key: Uint8Array, plaintext: Uint8Array, additionalData: Uint8Array): Uint8Array;
  /** The plaintext, or `undefined` when key, data or additional data are not those that it was sealed with. */
  open(key: Uint8Array, sealed: Uint8Array, additionalData: Uint8Array): Uint8Array | undefined;
}
