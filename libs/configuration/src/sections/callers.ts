import { IDENTIFIER_PATTERN } from '@token-broker/protocol';
import { ok } from '@token-broker/foundation';
import type { z } from 'zod';
import type { CallerConfiguration, SourceGrant } from '../configuration.js';
import { scope } from '../providers/oauth2/token-request.js';
import { flag, IDENTIFIER_RULE, text, withDefault } from '../scalars.js';
import { crossCheck, either, list, refuse, setting, settings, wrongKind } from '../settings.js';

const EVERY_SOURCE = '*';

const sourceName = setting({ type: 'string', description: 'A source’s name, or "*" for every source.' }, (input) => {
  if (typeof input !== 'string') return refuse(wrongKind('the name of a source', input));
  if (input === EVERY_SOURCE || IDENTIFIER_PATTERN.test(input)) return ok(input);
  return refuse('is not the name of a source', `${IDENTIFIER_RULE}; or "*" for every source`);
});

const everySource = setting<'*'>({ const: EVERY_SOURCE, description: 'Every source.' }, (input) =>
  input === EVERY_SOURCE ? ok(EVERY_SOURCE) : refuse('expected a list of sources, or "*"'),
);

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
      everySource,
      list('Sources.', either({ description: 'A source.' }, 'the name of a source, or a mapping', [sourceName, grant])),
    ],
  ).optional(),
  admin: withDefault(flag('May revoke, list, read the status and reload.'), false),
  clientIds: crossCheck(
    list(
      'Client ids at identity providers that are this caller: tokens issued to them are its own. Default: its name.',
      text('A client id.'),
    ),
    refuseDuplicates,
  ).optional(),
});

function refuseDuplicates(...[clientIds, report]: Parameters<Parameters<typeof crossCheck>[1]>): void {
  if (!Array.isArray(clientIds)) return;
  for (const [index, id] of clientIds.entries()) {
    if (clientIds.indexOf(id) < index) report([index], 'is in the list already');
  }
}

type WrittenCaller = z.output<typeof callerSchema>;

export function toCaller(
  name: string,
  { sources = [], admin, clientIds = [name] }: WrittenCaller,
): CallerConfiguration {
  const entries = typeof sources === 'string' ? [sources] : sources;
  const grants = new Map<string, SourceGrant>();
  for (const entry of entries) {
    const { name: source, scopes = [], audiences = [] } = typeof entry === 'string' ? { name: entry } : entry;
    grants.set(source, Object.freeze({ scopes, audiences }));
  }
  return Object.freeze({ name, grants, admin, clientIds: Object.freeze(clientIds) });
}
