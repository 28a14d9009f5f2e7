import { z } from 'zod';
import { identifier } from '../fields.js';

/** Names one near cache. */
export const nearCacheSchema = z.object({ caller: identifier, instance: identifier });
