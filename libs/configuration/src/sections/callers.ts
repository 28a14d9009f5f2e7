import { IDENTIFIER_PATTERN } from '@token-broker/protocol';
import { ok } from '@token-broker/foundation';
import type { z } from 'zod';
import type { CallerConfiguration, SourceGrant } from '../configuration.js';
import { scope } from '../providers/oauth2.js';
import { flag, IDENTIFIER_RULE, text, withDefault } from '../scalars.js';
import { either, list, refuse, setting, settings, wrongKind } from '../settings.js';

const EVERY_SOURCE = '*';

const sourceName = setting({ type: 'string', description: 'A source’s name, or "*" for every source.' }, (input) => {
  if (typeof input !== 'string') return refuse(wrongKind('the name of a source', input));
  if (input === EVERY_SOURCE || IDENTIFIER_PATTERN.test(input)) return ok(input);
  return refuse('is not the name of a source', `${IDENTIFIER_RULE}; or "*" for every source`);
});

const any = setting<'any'>({ const: 'any', description: 'Every one.' }, (input) =>
  input === 'any'
    ? ok('any')
    : refuse(typeof input === 'string' ? 'expected any, or a list' : wrongKind('any, or a list', input)),
);

const grant = settings('A source, with what the caller may ask of it.', {
  name: sourceName,
  scopes: either(
    { description: 'Scopes that may be asked for beside the source’s own: a list, or any.' },
    'any, or a list',
    [any, list('Scopes.', scope('A scope.'))],
  ).optional(),
  audiences: either(
    { description: 'Audiences and resources that may be asked for beside the source’s own: a list, or any.' },
    'any, or a list',
    [any, list('Audiences.', text('An audience.'))],
  ).optional(),
});

export const callerSchema = settings('What one caller may do.', {
  sources: either(
    { description: 'Sources that the caller may use: a list, or "*" for every one.' },
    'a list of sources, or "*"',
    [
      sourceName,
      list('Sources.', either({ description: 'A source.' }, 'the name of a source, or a mapping', [sourceName, grant])),
    ],
  ).optional(),
  admin: withDefault(flag('May revoke, list, read the status and reload.'), false),
});

type WrittenCaller = z.output<typeof callerSchema>;

export interface WrittenGrant extends SourceGrant {
  readonly source: string;
}

/** The grants in the order of the file, not yet free of duplicates. */
export function grantsOf({ sources }: Pick<WrittenCaller, 'sources'>): WrittenGrant[] {
  const entries = sources === undefined ? [] : typeof sources === 'string' ? [sources] : sources;
  return entries.map((entry) => {
    if (typeof entry === 'string') return { source: entry, scopes: [], audiences: [] };
    return { source: entry.name, scopes: entry.scopes ?? [], audiences: entry.audiences ?? [] };
  });
}

export function toCaller(name: string, written: WrittenCaller): CallerConfiguration {
  const grants = grantsOf(written).map(
    ({ source, scopes, audiences }) => [source, Object.freeze({ scopes, audiences })] as const,
  );
  return Object.freeze({ name, grants: new Map(grants), admin: written.admin });
}
