import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import { text } from '../../scalars.js';
import {
  either,
  list,
  refuse,
  setting,
  valuesOf,
  wrongKind,
  type Report,
  type Setting,
  type Values,
} from '../../settings.js';
import { absoluteUri } from './endpoint.js';

/** A scope of RFC 6749: printable, without space, quote and backslash. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

export function scope(description: string): Setting<string> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    return SCOPE.test(input) ? ok(input) : refuse('not a scope', 'printable ASCII without space, quote and backslash');
  });
}

const scopes = setting({ type: 'string', description: 'Scopes, separated by spaces.' }, (input) => {
  if (typeof input !== 'string') return refuse(wrongKind('text', input));
  const words = input.split(' ').filter((word) => word !== '');
  return words.every((word) => SCOPE.test(word)) ? ok(words) : refuse('not a list of scopes separated by spaces');
});

/** What a token request asks for, beside what its grant needs. */
export const tokenRequestSettings = {
  scope: either({ description: 'Scopes: text separated by spaces, or a list.' }, 'text or a list', [
    scopes,
    list('Scopes.', scope('A scope.')),
  ]).optional(),
  audience: text('Audience that the token is for.').optional(),
  resource: absoluteUri('Resource of RFC 8707, an absolute URI without a fragment.').optional(),
  parameters: z
    .record(z.string(), text('The parameter’s value.'), { error: (issue) => wrongKind('a mapping', issue.input) })
    .meta({ description: 'Further form parameters of the token request, such as `organization`.' })
    .optional(),
};

/** What the broker itself puts into a token request of some grant, or must never send in any. */
const RESERVED_PARAMETERS: ReadonlySet<string> = new Set([
  ...['grant_type', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'],
  ...['scope', 'audience', 'resource'],
  ...['code', 'code_verifier', 'redirect_uri', 'refresh_token', 'device_code', 'username', 'password', 'assertion'],
  ...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type'],
]);

export function checkParameters({ parameters }: Values, report: Report): void {
  for (const name of Object.keys(valuesOf(parameters))) {
    if (RESERVED_PARAMETERS.has(name))
      report(['parameters', name], 'is set by the broker itself', 'use the setting of that meaning');
  }
}
