import { isAbsolute } from 'node:path';
import { ok } from '@token-broker/foundation';
import { createSubjects } from '@token-broker/protocol';
import type { z } from 'zod';
import type { AuditConfiguration } from '../configuration.js';
import { identifier } from '../scalars.js';
import { crossCheck, refuse, setting, settings, wrongKind } from '../settings.js';

const file = setting(
  {
    type: 'string',
    description:
      'Where records are appended, one a line: stdout, among the lines of the log; the absolute path of a file; none, where a stream keeps them.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('stdout, none, or the path of a file', input));
    if (input === 'stdout' || input === 'none' || (isAbsolute(input) && !/\p{Cc}/u.test(input))) return ok(input);
    return refuse('expected stdout, none, or an absolute path', 'such as "/var/log/token-broker/audit.jsonl"');
  },
);

const subject = setting(
  { type: 'string', description: 'The subject that the stream takes records by. Default: <subjectPrefix>.v1.audit.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a subject', input));
    return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(input) && input.length <= 256
      ? ok(input)
      : refuse('is no subject to publish to', 'names with dots between them, without wildcards');
  },
);

export const auditSchema = crossCheck(
  settings('The audit trail: who revoked what and why, and who was refused.', {
    file: file.prefault('stdout'),
    stream: settings('A JetStream stream that keeps the records too. It must be there: brokers make none.', {
      name: identifier('The name of the stream.'),
      subject: subject.optional(),
    }).optional(),
  }),
  ({ file: where, stream }, report) => {
    if (where === 'none' && stream === undefined)
      report(['file'], 'there is no other place for the audit trail', 'name a file or a stream, or leave it out');
  },
);

export function toAudit(
  { file: where, stream }: z.output<typeof auditSchema>,
  subjectPrefix: string,
): AuditConfiguration {
  return Object.freeze({
    ...(where === 'stdout' || where === 'none' ? { to: where } : { to: 'file' as const, file: where }),
    ...(stream === undefined
      ? {}
      : {
          stream: Object.freeze({
            name: stream.name,
            subject: stream.subject ?? createSubjects(subjectPrefix).audit(),
          }),
        }),
  });
}
