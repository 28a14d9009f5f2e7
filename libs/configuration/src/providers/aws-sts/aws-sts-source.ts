import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import type { AwsStsOperation, AwsStsSourceConfiguration } from '../../configuration.js';
import { certificates } from '../../certificates.js';
import { choice, duration, flag, millisecondsOf, withDefault } from '../../scalars.js';
import {
  crossCheck,
  list,
  refuse,
  setting,
  settings,
  valuesOf,
  wrongKind,
  type Report,
  type Values,
} from '../../settings.js';
import { accessSchema, checkAccess, formedText, region, toAccess } from '../aws-access.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { httpUrl, isInsecure, USE_HTTPS } from '../oauth2/endpoint.js';
import { tokenFile } from '../token-file.js';

const OPERATIONS = ['assume-role', 'assume-role-with-web-identity', 'get-session-token'] as const;
/** Of AWS. */
const SHORTEST_MS = millisecondsOf('15m');
const LONGEST_MS: Readonly<Record<string, number>> = {
  'assume-role': millisecondsOf('12h'),
  'assume-role-with-web-identity': millisecondsOf('12h'),
  'get-session-token': millisecondsOf('36h'),
};
/** A role that is assumed with the credential of a role. */
const LONGEST_CHAINED_MS = millisecondsOf('1h');
const MAX_TAGS = 50;
const MAX_POLICY_CHARACTERS = 2_048;

const ROLE = /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/;
const POLICY_ARN = /^arn:[\w-]+:iam::(\d{12}|aws):policy\/[\w+=,.@/-]+$/;
const SESSION_NAME = /^[\w+=,.@-]{2,64}$/;
const EXTERNAL_ID = /^[\w+=,.@:/-]{2,1224}$/;
const TAG = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u;

const policy = setting(
  {
    type: ['string', 'object'],
    description: 'A session policy, as a mapping or as JSON text: what the session may do of what the role may.',
  },
  (input) => {
    const parsed = typeof input === 'string' ? parsedJson(input) : input;
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      return refuse(wrongKind('a policy document', input));
    const text = JSON.stringify(parsed);
    return text.length <= MAX_POLICY_CHARACTERS
      ? ok(text)
      : refuse(`is longer than ${String(MAX_POLICY_CHARACTERS)} characters`);
  },
);

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What only some operations know. */
const ONLY_FOR: Readonly<Record<string, readonly string[]>> = {
  roleArn: ['assume-role', 'assume-role-with-web-identity'],
  sessionName: ['assume-role', 'assume-role-with-web-identity'],
  policy: ['assume-role', 'assume-role-with-web-identity'],
  policyArns: ['assume-role', 'assume-role-with-web-identity'],
  externalId: ['assume-role'],
  sessionTags: ['assume-role'],
  transitiveTagKeys: ['assume-role'],
  webIdentityTokenFile: ['assume-role-with-web-identity'],
  credentials: ['assume-role', 'get-session-token'],
};

const REQUIRED_FOR: Readonly<Record<string, readonly string[]>> = {
  'assume-role': ['roleArn', 'credentials'],
  'assume-role-with-web-identity': ['roleArn', 'webIdentityTokenFile'],
  'get-session-token': ['credentials'],
};

export const awsStsSchema = crossCheck(
  settings('Temporary credentials of AWS, from its Security Token Service.', {
    provider: z.literal('aws-sts').meta({ description: 'The kind of upstream.' }),
    operation: withDefault(choice('What is asked of the service.', OPERATIONS), 'assume-role'),
    roleArn: formedText('The role.', ROLE, 'the ARN of a role', 'arn:aws:iam::123456789012:role/orders').optional(),
    sessionName: formedText(
      'The name of the session, in the trail of AWS. Default: `token-broker-` and the name of the source.',
      SESSION_NAME,
      'the name of a session: 2 to 64 of A-Z a-z 0-9 _ + = , . @ -',
    ).optional(),
    sessionDuration: withDefault(
      duration('How long the credentials are asked for: 15m to 12h, as far as the role allows.', { max: '36h' }),
      '1h',
    ),
    externalId: formedText('The external id that the role wants to see.', EXTERNAL_ID, 'an external id').optional(),
    sessionTags: z
      .record(z.string(), formedText('The tag’s value.', /^.{0,256}$/u, 'a value of at most 256 characters'), {
        error: (issue) => wrongKind('a mapping', issue.input),
      })
      .meta({ description: 'Tags of the session.' })
      .optional(),
    transitiveTagKeys: list(
      'Keys of tags that go on to roles that are assumed with these credentials.',
      formedText('A key.', TAG, 'the key of a tag'),
    ).optional(),
    policy: policy.optional(),
    policyArns: list(
      'Managed policies of the session, ten at most.',
      formedText('A policy.', POLICY_ARN, 'the ARN of a policy'),
    ).optional(),
    webIdentityTokenFile: tokenFile(
      'The file with the web identity token: an absolute path. It is read for each call.',
    ).optional(),
    credentials: accessSchema.optional(),
    region,
    endpoint: httpUrl('Another endpoint than the region’s own.', { query: true }).optional(),
    allowInsecureHttp: withDefault(flag('Allow `http://` for `endpoint`. For development only.'), false),
    ca: certificates('Certificate authorities to trust for the endpoint, PEM, instead of the system’s.').optional(),
    ...callingSettings,
  }),
  (written, report) => {
    checkCalling(written, report);
    checkAccess(written, report);
    checkOperation(written, report);
    checkTags(written, report);
    if (written['allowInsecureHttp'] !== true && isInsecure(written['endpoint']))
      report(['endpoint'], 'http:// would send credentials in clear', USE_HTTPS);
    if (valuesOf(written['credentials'])['source'] !== undefined && written['withoutRedis'] === 'fetch')
      report(['withoutRedis'], 'cannot be fetch with credentials.source', 'that one is in Redis');
  },
);

function checkOperation(written: Values, report: Report): void {
  const operation = written['operation'];
  if (typeof operation !== 'string' || !(operation in REQUIRED_FOR)) return;
  for (const name of REQUIRED_FOR[operation] ?? [])
    if (written[name] === undefined) report([name], `is required for ${operation}`);
  for (const [name, operations] of Object.entries(ONLY_FOR))
    if (written[name] !== undefined && !operations.includes(operation))
      report([name], `is never used with operation: ${operation}`);
  const { sessionDuration } = written;
  if (typeof sessionDuration !== 'number') return;
  const longestMs = LONGEST_MS[operation] ?? 0;
  if (sessionDuration < SHORTEST_MS) report(['sessionDuration'], 'is too short: at least 15m');
  else if (sessionDuration > longestMs)
    report(['sessionDuration'], `is too long: at most ${String(longestMs / 3_600_000)}h`);
  else if (
    operation === 'assume-role' &&
    valuesOf(written['credentials'])['source'] !== undefined &&
    sessionDuration > LONGEST_CHAINED_MS
  )
    report(['sessionDuration'], 'is too long for a role that is assumed with a role: at most 1h');
}

function checkTags(written: Values, report: Report): void {
  const tags = Object.keys(valuesOf(written['sessionTags']));
  if (tags.length > MAX_TAGS) report(['sessionTags'], `are ${String(tags.length)}: at most ${String(MAX_TAGS)}`);
  for (const tag of tags) {
    if (!TAG.test(tag) || tag.length > 128) report(['sessionTags', tag], 'is not the key of a tag');
  }
  const { transitiveTagKeys: transitive, policyArns } = written;
  for (const [index, key] of (Array.isArray(transitive) ? (transitive as readonly unknown[]) : []).entries())
    if (typeof key === 'string' && !tags.includes(key))
      report(['transitiveTagKeys', index], 'is no key of sessionTags');
  if (Array.isArray(policyArns) && policyArns.length > 10) report(['policyArns'], 'are more than ten');
}

export function toAwsStsSource(name: string, written: z.output<typeof awsStsSchema>): AwsStsSourceConfiguration {
  const { ca, endpoint } = written;
  return Object.freeze({
    name,
    provider: written.provider,
    operation: toOperation(name, written),
    region: written.region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(ca === undefined ? {} : { ca }),
    sessionDurationMs: written.sessionDuration,
    scopes: Object.freeze([]),
    ...toCalling(written),
  });
}

function toOperation(name: string, written: z.output<typeof awsStsSchema>): AwsStsOperation {
  const { operation, roleArn = '', sessionName, policy: document, policyArns = [], credentials = {} } = written;
  if (operation === 'get-session-token') return Object.freeze({ kind: operation, access: toAccess(credentials) });
  const session = {
    roleArn,
    sessionName: sessionName ?? `token-broker-${name}`.slice(0, 64),
    ...(document === undefined ? {} : { policy: document }),
    policyArns: Object.freeze(policyArns),
  };
  if (operation === 'assume-role-with-web-identity')
    return Object.freeze({ kind: operation, ...session, tokenFile: written.webIdentityTokenFile ?? '' });
  const { externalId, sessionTags = {}, transitiveTagKeys = [] } = written;
  return Object.freeze({
    kind: operation,
    ...session,
    access: toAccess(credentials),
    ...(externalId === undefined ? {} : { externalId }),
    tags: new Map(Object.entries(sessionTags)),
    transitiveTagKeys: Object.freeze(transitiveTagKeys),
  });
}
