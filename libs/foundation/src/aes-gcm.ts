import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Aead } from './aead.js';
import type { Random } from './random.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; layout: nonce, ciphertext, 128-bit tag. */
export function createAesGcm(random: Random): Aead {
  return {
    seal(key, plaintext, additionalData) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(additionalData);
      const head = cipher.update(plaintext);
      return Buffer.concat([nonce, head, cipher.final(), cipher.getAuthTag()]);
    },
    open(key, sealed, additionalData) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(additionalData);
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      try {
        const head = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
        return Buffer.concat([head, decipher.final()]);
      } catch {
        // A wrong tag is an answer, not a fault: somebody else's data, a flipped bit, another key.
        return undefined;
      }
    },
  };
}
