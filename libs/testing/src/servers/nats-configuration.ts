/** Subjects that are allowed; or those allowed and those denied, where a denial wins. Wildcards `*` and `>` work. */
export type NatsSubjects = readonly string[] | SubjectRules;

interface SubjectRules {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/**
 * What a user may publish and subscribe to. A list that is not given allows everything. A subscription may be bound to
 * a queue group: `"subject queue"`.
 */
export interface NatsPermissions {
  readonly publish?: NatsSubjects;
  readonly subscribe?: NatsSubjects;
}

/** A user of the NATS server, who logs in by password. */
export interface NatsUser {
  readonly user: string;
  readonly password: string;
  readonly permissions?: NatsPermissions;
}

/** Writes the `authorization` block of a NATS configuration. */
export function natsAuthorization(users: readonly NatsUser[]): string {
  const entries = users.map(({ user, password, permissions }) => {
    const fields = [`user: ${quoted(user)}`, `password: ${quoted(password)}`];
    if (permissions !== undefined) fields.push(`permissions: ${permissionsBlock(permissions)}`);
    return `    { ${fields.join(', ')} }`;
  });
  return ['authorization {', '  users = [', ...entries, '  ]', '}'].join('\n');
}

function permissionsBlock({ publish, subscribe }: NatsPermissions): string {
  const fields: string[] = [];
  if (publish !== undefined) fields.push(`publish: ${subjectsBlock(publish)}`);
  if (subscribe !== undefined) fields.push(`subscribe: ${subjectsBlock(subscribe)}`);
  return `{ ${fields.join(', ')} }`;
}

function subjectsBlock(subjects: NatsSubjects): string {
  const { allow, deny = [] }: SubjectRules = isList(subjects) ? { allow: subjects } : subjects;
  // The server takes an empty list for no restriction: that nothing is allowed must be said as everything denied.
  if (allow?.length === 0) return `{ deny: ${list(['>'])} }`;
  const fields: string[] = [];
  if (allow !== undefined) fields.push(`allow: ${list(allow)}`);
  if (deny.length > 0) fields.push(`deny: ${list(deny)}`);
  return `{ ${fields.join(', ')} }`;
}

function isList(subjects: NatsSubjects): subjects is readonly string[] {
  return Array.isArray(subjects);
}

function list(subjects: readonly string[]): string {
  return `[${subjects.map(quoted).join(', ')}]`;
}

/** Double quotes keep the server from reading a value as a number, a variable or a block. */
function quoted(value: string): string {
  // eslint-disable-next-line no-control-regex -- these are the characters that the format cannot carry
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new Error('a NATS configuration cannot carry control characters');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
