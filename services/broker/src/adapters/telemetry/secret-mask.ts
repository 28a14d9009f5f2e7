import type { Redacted } from '@token-broker/foundation';

const SHOWN = '<redacted>';

/** A shorter text would be found in the middle of ordinary words, and what was masked could be guessed from them. */
const MIN_SECRET_CHARACTERS = 4;

/** A JWT, whole or cut: a base64url JSON object, a dot, and more of the same. Encrypted ones have five parts. */
const JWT = String.raw`eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}`;

/** What follows the scheme of an `Authorization` header (RFC 9110). */
const AUTHORIZATION = String.raw`(?<=\b(?:Bearer|Basic|DPoP) +)[A-Za-z0-9._~+/-]{8,}=*`;

/** Hides secrets in texts: those that are registered, and what looks like a token anyway. */
export interface SecretMask {
  /** From now on this value is hidden, plain, percent-encoded and in base64. Below 4 characters it is not taken. */
  registerSecret(secret: string | Redacted): void;
  apply(text: string): string;
}

export function createSecretMask(): SecretMask {
  const secrets = new Set<string>();
  let pattern = compile(secrets);
  return {
    registerSecret(secret) {
      const value = typeof secret === 'string' ? secret : secret.reveal();
      if (value.length < MIN_SECRET_CHARACTERS) return;
      const before = secrets.size;
      for (const form of formsOf(value)) secrets.add(form);
      if (secrets.size > before) pattern = compile(secrets);
    },
    apply: (text) => text.replace(pattern, SHOWN),
  };
}

/** The spellings in which HTTP and configuration carry a secret. */
function formsOf(value: string): string[] {
  const base64 = Buffer.from(value).toString('base64');
  return [
    value,
    encodeURIComponent(value),
    encodeURIComponent(value).replaceAll('%20', '+'),
    base64,
    base64.replaceAll('=', ''),
    Buffer.from(value).toString('base64url'),
  ];
}

function compile(secrets: ReadonlySet<string>): RegExp {
  // The longest first: a secret that begins another must not leave the rest of it behind.
  const literals = [...secrets].sort((a, b) => b.length - a.length).map(escaped);
  return new RegExp([...literals, JWT, AUTHORIZATION].join('|'), 'g');
}

function escaped(literal: string): string {
  return literal.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
}
