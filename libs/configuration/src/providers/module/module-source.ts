import { isAbsolute } from 'node:path';
import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import type { ModuleSourceConfiguration } from '../../configuration.js';
import { duration, flag, secret, withDefault } from '../../scalars.js';
import { crossCheck, refuse, setting, settings, wrongKind } from '../../settings.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';

/** A package's name, with a path into it perhaps. */
const PACKAGE = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(\/[A-Za-z0-9._~-]+)*$/;

const module = setting(
  {
    type: 'string',
    minLength: 1,
    description: 'The module: an absolute path, or the name of a package that is installed beside the broker.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('an absolute path', input));
    if (/\p{Cc}/u.test(input)) return refuse('holds a control character');
    if (isAbsolute(input) || (PACKAGE.test(input) && !input.includes('..'))) return ok(input);
    return refuse('is neither an absolute path nor the name of a package');
  },
);

const options = setting<Readonly<Record<string, unknown>>>(
  { type: 'object', description: 'What the module wants to know; secrets go into `secrets`.' },
  (input) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      return refuse(wrongKind('a mapping', input));
    return isJson(input)
      ? ok(input as Readonly<Record<string, unknown>>)
      : refuse('holds what is no JSON', 'such as .inf');
  },
);

function isJson(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isJson);
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

export const moduleSchema = crossCheck(
  settings('What a module of your own gets, which implements the port of @token-broker/provider.', {
    provider: z.literal('module').meta({ description: 'The kind of upstream.' }),
    module,
    options: options.optional(),
    secrets: z
      .record(z.string(), secret('A secret.'), { error: (issue) => wrongKind('a mapping', issue.input) })
      .meta({ description: 'The module’s secrets by name: the broker masks them in whatever goes wrong.' })
      .optional(),
    takesParameters: withDefault(
      flag('Callers may ask for scopes, an audience, a resource: the module gets them.'),
      false,
    ),
    ...callingSettings,
    maxLifetime: withDefault(duration('Lifetimes above this are clamped.', { max: '3650d' }), '365d'),
  }),
  checkCalling,
);

export function toModuleSource(name: string, written: z.output<typeof moduleSchema>): ModuleSourceConfiguration {
  return Object.freeze({
    name,
    provider: written.provider,
    module: written.module,
    options: Object.freeze(written.options ?? {}),
    secrets: new Map(Object.entries(written.secrets ?? {})),
    takesParameters: written.takesParameters,
    scopes: Object.freeze([]),
    maxLifetimeMs: written.maxLifetime,
    ...toCalling(written),
  });
}
