import { createPrivateKey, type KeyObject } from 'node:crypto';
import { ok, Redacted } from '@token-broker/foundation';
import { refuse, setting, wrongKind, type Setting } from '../../settings.js';

/** RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used". */
const MIN_RSA_BITS = 2_048;

const HOW_TO_WRITE = 'the file that GitHub gave you: "${file:/path/to/app.private-key.pem}"';

/** PKCS #1, as GitHub gives it, or PKCS #8. */
const BLOCK = /-----BEGIN (RSA )?PRIVATE KEY-----[^-]*-----END (RSA )?PRIVATE KEY-----/;

/** The private key of an app: RSA in PEM, the block alone without what may stand around it. */
export const appKey: Setting<Redacted> = setting(
  {
    type: 'string',
    minLength: 1,
    writeOnly: true,
    description: 'The app’s private key: RSA in PEM, as GitHub gives it (PKCS #1), or PKCS #8.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('PEM text', input), HOW_TO_WRITE);
    if (input.trim() === '') return refuse('the secret is empty');
    if (input.includes('ENCRYPTED'))
      return refuse(
        'the private key is encrypted',
        'store it without a passphrase, in a file that only the broker can read',
      );
    const [block] = BLOCK.exec(input) ?? [];
    if (block === undefined) return refuse('is not a private key', HOW_TO_WRITE);
    const key = parsed(block);
    if (key === undefined) return refuse('the private key does not parse', HOW_TO_WRITE);
    if (key.asymmetricKeyType !== 'rsa') return refuse('is not an RSA key', 'GitHub knows no other');
    const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
    return modulusLength < MIN_RSA_BITS
      ? refuse(`the RSA key has ${String(modulusLength)} bits`, `at least ${String(MIN_RSA_BITS)}`)
      : ok(new Redacted(block));
  },
);

function parsed(block: string): KeyObject | undefined {
  try {
    return createPrivateKey(block);
  } catch {
    return undefined;
  }
}
