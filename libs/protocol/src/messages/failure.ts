import { z } from 'zod';
import { milliseconds } from '../fields.js';
import { isErrorCode, type ErrorCode } from '../errors.js';

/** An error on the wire. A code that this version does not know reads as `INTERNAL`. */
export const failureSchema = z.object({
  code: z.string().transform((code): ErrorCode => (isErrorCode(code) ? code : 'INTERNAL')),
  message: z.string(),
  retryAfterMs: milliseconds.optional(),
});
