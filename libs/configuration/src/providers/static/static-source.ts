import { z } from 'zod';
import type { StaticSourceConfiguration } from '../../configuration.js';
import { duration, secret, withDefault } from '../../scalars.js';
import { crossCheck, settings } from '../../settings.js';
import { tokenType, username } from '../credential.js';

/** Nobody is called, so that these bound nothing but the broker's own work. */
const TIMEOUT_MS = 1_000;
const LOCK_TIME_MS = 3_000;

/** What stands in an HTTP header: visible ASCII (RFC 6750 §2.1, and a little more). */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
const CONTROL = /\p{Cc}/u;
const MAX_CHARACTERS = 64 * 1024;

export const staticSchema = crossCheck(
  settings('A value that somebody else looks after: an API key, a password. Nobody is called for it.', {
    provider: z.literal('static').meta({ description: 'The kind of upstream.' }),
    value: secret('The value. From a file or a variable: "${file:/run/secrets/key}"; a change of the file is noticed.'),
    tokenType: withDefault(tokenType, 'Bearer'),
    username: username.optional(),
    lifetime: withDefault(
      duration('How long it counts without being looked at again; for so long a revoked one is remembered, too.', {
        min: '10s',
        max: '3650d',
      }),
      '365d',
    ),
  }),
  ({ value, tokenType: type }, report) => {
    const text = revealed(value);
    if (text === undefined) return;
    if (CONTROL.test(text))
      report(['value'], 'holds a control character', 'a line break, perhaps: one value, one line');
    else if (type === 'Bearer' && !VISIBLE_ASCII.test(text))
      report(['value'], 'does not fit into a header', 'for what goes into none: tokenType: password');
    if (text.length > MAX_CHARACTERS) report(['value'], `is longer than ${String(MAX_CHARACTERS)} characters`);
  },
);

function revealed(value: unknown): string | undefined {
  const isSecret = typeof value === 'object' && value !== null && 'reveal' in value;
  return isSecret ? (value as StaticSourceConfiguration['value']).reveal() : undefined;
}

export function toStaticSource(name: string, written: z.output<typeof staticSchema>): StaticSourceConfiguration {
  const { provider, value, tokenType: type, username: user, lifetime } = written;
  return Object.freeze({
    name,
    provider,
    value,
    tokenType: type,
    ...(user === undefined ? {} : { username: user }),
    lifetimeMs: lifetime,
    scopes: Object.freeze([]),
    timeoutMs: TIMEOUT_MS,
    lockTimeMs: LOCK_TIME_MS,
    refresh: Object.freeze({ ahead: Object.freeze({ kind: 'off' as const }), keepWarm: false }),
    quota: Object.freeze([]),
  });
}
