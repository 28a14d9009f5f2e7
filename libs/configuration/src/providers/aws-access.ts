import { ok, type Redacted } from '@token-broker/foundation';
import type { z } from 'zod';
import type { AwsAccess } from '../configuration.js';
import { identifier, secret } from '../scalars.js';
import { refuse, setting, settings, valuesOf, wrongKind, type Report, type Setting, type Values } from '../settings.js';

/** `us-east-1`, `us-gov-west-1`, `cn-north-1`, `eu-isoe-west-1`. */
const REGION = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;
const ACCESS_KEY_ID = /^\w{16,128}$/;

/** A setting that is text of one form. */
export function formedText(description: string, form: RegExp, expected: string, example?: string): Setting<string> {
  return setting({ type: 'string', minLength: 1, description }, (input) => {
    if (typeof input !== 'string')
      return refuse(wrongKind('text', input), typeof input === 'number' ? 'put it in quotes' : undefined);
    return form.test(input)
      ? ok(input)
      : refuse(`is not ${expected}`, example === undefined ? undefined : `such as "${example}"`);
  });
}

export const region = formedText('The AWS region.', REGION, 'a region of AWS', 'eu-central-1');

/** With what requests to AWS are signed: keys, or the credential of another source. */
export const accessSchema = settings('With what is signed: access keys, or the credential of another source.', {
  accessKeyId: formedText('The id of the access key.', ACCESS_KEY_ID, 'the id of an access key').optional(),
  secretAccessKey: secret('The secret access key.').optional(),
  sessionToken: secret('The session token, where the keys are temporary ones.').optional(),
  source: identifier('The source whose credential it is: one of AWS, such as that of a role to begin with.').optional(),
});

export function checkAccess(source: Values, report: Report): void {
  if (source['credentials'] === undefined) return;
  const { accessKeyId, secretAccessKey, sessionToken, source: name } = valuesOf(source['credentials']);
  const keys = { accessKeyId, secretAccessKey, sessionToken };
  if (name !== undefined) {
    for (const [key, value] of Object.entries(keys))
      if (value !== undefined) report(['credentials', key], 'is never used beside credentials.source');
    return;
  }
  for (const key of ['accessKeyId', 'secretAccessKey'] as const)
    if (keys[key] === undefined)
      report(['credentials', key], 'is required', 'or credentials.source, the name of another source');
}

export function toAccess(written: z.output<typeof accessSchema>): AwsAccess {
  const { accessKeyId, secretAccessKey, sessionToken, source } = written;
  if (source !== undefined) return Object.freeze({ kind: 'source', source });
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new Error('keys that are missing passed their check');
  return Object.freeze({
    kind: 'keys',
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  });
}

/** What a recipe says of an access; `signer` is the recipe of the source that lends it. */
export function accessIngredients(access: AwsAccess, signer: readonly unknown[] | undefined): readonly unknown[] {
  return access.kind === 'source'
    ? ['source', access.source, signer ?? null]
    : ['keys', access.accessKeyId, access.secretAccessKey.reveal(), access.sessionToken?.reveal() ?? null];
}

/** Who it is, as far as the configuration knows: without secrets. */
export function accessIdentity(access: AwsAccess): readonly unknown[] {
  return access.kind === 'source' ? ['source', access.source] : ['keys', access.accessKeyId];
}

export function accessSecrets(access: AwsAccess): readonly Redacted[] {
  if (access.kind === 'source') return [];
  return [access.secretAccessKey, ...(access.sessionToken === undefined ? [] : [access.sessionToken])];
}
