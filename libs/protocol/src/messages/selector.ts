import { z } from 'zod';
import { identifier, parameter, slot } from '../fields.js';

/** SHA-256 of a token as `sha256sum` prints it: the token itself never travels, and is in no log. */
const tokenSha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in 64 hexadecimal digits');
/** Where a selector may be narrowed to one source. */
const source = identifier.optional();

/**
 * What a revocation hits: exactly one of these.
 *
 * - `slot`, `source`, `all`, and `provider`: every source with this `provider:` of the configuration.
 * - `caller`: every source that the policy gives to this caller, for all who use it, since they share its tokens.
 * - `tokenSha256`: the slots whose current token has this digest.
 * - `subject`: the slots whose subject token, or actor token, named this subject (`sub`) when it was checked.
 * - `issuedBeforeMs`: what was asked for before this moment, by the clock of Redis in milliseconds since 1970.
 */
export const selectorSchema = z.union(
  [
    z.strictObject({ slot }),
    z.strictObject({ source: identifier }),
    z.strictObject({ all: z.literal(true) }),
    z.strictObject({ provider: identifier }),
    z.strictObject({ caller: identifier }),
    z.strictObject({ tokenSha256, source }),
    z.strictObject({ subject: parameter, source }),
    z.strictObject({ issuedBeforeMs: z.int().min(1), source }),
  ],
  {
    error:
      'must be one of {slot}, {source}, {provider}, {caller}, {subject}, {tokenSha256}, {issuedBeforeMs} or {all: true}',
  },
);
export type Selector = z.output<typeof selectorSchema>;
