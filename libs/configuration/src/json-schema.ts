import { z } from 'zod';
import { fileSchema } from './file-schema.js';

/** The JSON Schema (2020-12) of the file as it is written, before references are resolved: for editors. */
export function configurationJsonSchema(): Record<string, unknown> {
  return {
    title: 'Token Broker configuration',
    ...z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-2020-12' }),
  };
}
