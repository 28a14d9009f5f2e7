import { ok, Redacted } from '@token-broker/foundation';
import type { z } from 'zod';
import type { EncryptionConfiguration } from '../configuration.js';
import { identifier } from '../scalars.js';
import { crossCheck, list, refuse, setting, settings, wrongKind } from '../settings.js';

const KEY_BYTES = 32;

const keySecret = setting(
  {
    type: 'string',
    writeOnly: true,
    description: '32 random bytes in base64, base64url or hex: `openssl rand -base64 32`.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    if (input.trim() === '') return refuse('the secret is empty', HOW_TO_MAKE);
    const key = decodeKey(input.trim());
    if (key === undefined) return refuse('is neither base64, base64url nor hex', HOW_TO_MAKE);
    if (key.length === KEY_BYTES) return ok(new Redacted<Uint8Array>(key));
    return refuse(`is ${String(key.length)} bytes long, not ${String(KEY_BYTES)}`, HOW_TO_MAKE);
  },
);

const HOW_TO_MAKE = 'make one with: openssl rand -base64 32';

/** Sixty-four hexadecimal digits are 32 bytes, although they would do as base64 of 48. */
function decodeKey(written: string): Uint8Array | undefined {
  if (/^[0-9A-Fa-f]{64}$/.test(written)) return new Uint8Array(Buffer.from(written, 'hex'));
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(written) || /^[A-Za-z0-9_-]+={0,2}$/.test(written)) {
    return new Uint8Array(Buffer.from(written, 'base64'));
  }
  return undefined;
}

export const encryptionSchema = crossCheck(
  settings('The keys that seal tokens.', {
    keys: list(
      'The first key seals, every key opens: to rotate, put a new key second everywhere, then first, and drop the old one later.',
      settings('A sealing key.', {
        id: identifier('The key’s name: stored with everything that it seals.'),
        secret: keySecret,
      }),
    ),
  }),
  ({ keys }, report) => {
    if (!Array.isArray(keys)) return;
    if (keys.length === 0) report(['keys'], 'needs at least one key', HOW_TO_MAKE);
    const seen = new Set<unknown>();
    for (const [index, key] of (keys as readonly unknown[]).entries()) {
      const id = typeof key === 'object' && key !== null && 'id' in key ? key.id : undefined;
      if (typeof id === 'string' && seen.has(id))
        report(['keys', index, 'id'], 'is the id of an earlier key', 'ids are unique');
      seen.add(id);
    }
  },
);

export function toEncryption(written: z.output<typeof encryptionSchema>): EncryptionConfiguration {
  const [first, ...others] = written.keys.map(({ id, secret }) => Object.freeze({ id, secret }));
  if (first === undefined) throw new Error('an encryption configuration without keys passed its check');
  return Object.freeze({ keys: Object.freeze([first, ...others] as const) });
}
