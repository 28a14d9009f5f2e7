import type { Redacted } from '@token-broker/foundation';
import { createSubjects, inboxPrefixOf, type Subjects } from '@token-broker/protocol';
import type { AuditConfiguration, CallerConfiguration, Configuration, NatsConfiguration } from './configuration.js';
import { BROKER_EVENTS_USER, BROKER_USER } from './file-checks.js';

/** What one NATS user may publish and subscribe to. Everything else is denied: a list that is given is complete. */
export interface NatsUserPermissions {
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * The NATS users that follow from a configuration: the broker's own (first) and one for each caller, named as the caller. The
 * server enforces them, and so the caller in a request's subject can be believed.
 *
 * There is no `allow_responses`: with it, whoever asks could aim the broker's reply at somebody else's event subject.
 */
export function natsPermissions({ nats, callers, audit }: Configuration): NatsUserPermissions[] {
  const subjects = createSubjects(nats.subjectPrefix);
  return [
    ...brokerUsers(nats, subjects, audit),
    ...[...callers.values()].map((caller) => callerUser(caller, subjects, audit)),
  ];
}

function callerUser(
  { name, grants, admin }: CallerConfiguration,
  subjects: Subjects,
  audit: AuditConfiguration,
): NatsUserPermissions {
  const sources = grants.has('*') ? ['*'] : [...grants.keys()];
  return {
    user: name,
    publish: [
      ...sources.flatMap((source) => [subjects.get(name, source), subjects.rejected(name, source)]),
      subjects.sync(name),
      subjects.ack(name),
      ...(admin ? [subjects.admin(name, '*'), ...readersSubjects(audit)] : []),
    ],
    subscribe: [
      `${inboxPrefixOf(name)}.>`,
      ...sources.map((source) => subjects.event(source, '*')),
      subjects.invalidation('*'),
      subjects.heartbeat(),
    ],
  };
}

/** What JetStream's API needs to read one stream, message by message; no consumer, which could deliver to any subject. */
function readersSubjects({ stream }: AuditConfiguration): string[] {
  return stream === undefined ? [] : [`$JS.API.STREAM.INFO.${stream.name}`, `$JS.API.STREAM.MSG.GET.${stream.name}`];
}

function brokerUsers(
  { credentials, eventCredentials }: NatsConfiguration,
  subjects: Subjects,
  { stream }: AuditConfiguration,
): NatsUserPermissions[] {
  const serving: NatsUserPermissions = {
    user: credentials.kind === 'user' ? credentials.user : BROKER_USER,
    publish: ['_INBOX.>'],
    subscribe: [
      subjects.get('*', '*'),
      subjects.rejected('*', '*'),
      subjects.sync('*'),
      subjects.admin('*', '*'),
      '$SRV.>',
      `${inboxPrefixOf(BROKER_USER)}.>`,
    ],
  };
  const shared = [
    subjects.event('*', '*'),
    subjects.invalidation('*'),
    subjects.heartbeat(),
    subjects.flight('*'),
    subjects.peer('*'),
  ];
  const events: NatsUserPermissions = {
    user: eventCredentials.kind === 'user' ? eventCredentials.user : BROKER_EVENTS_USER,
    publish: [...shared, ...(stream === undefined ? [] : [stream.subject])],
    subscribe: [...shared, subjects.ack('*'), `${inboxPrefixOf(BROKER_EVENTS_USER)}.>`],
  };
  const isOneIdentity =
    serving.user === events.user || (credentials === eventCredentials && credentials.kind !== 'none');
  if (!isOneIdentity) return [serving, events];
  return [
    {
      user: serving.user,
      publish: [...serving.publish, ...events.publish],
      subscribe: [...serving.subscribe, ...events.subscribe],
    },
  ];
}

/**
 * The `authorization` block of a nats-server configuration file.
 *
 * @param passwords by user; bcrypt hashes (`nats server passwd`) will do.
 * @throws RangeError when a user has no password, or one that cannot be written (control characters).
 */
export function renderNatsAuthorization(
  users: readonly NatsUserPermissions[],
  passwords: ReadonlyMap<string, Redacted>,
): string {
  const entries = users.map(({ user, publish, subscribe }) => {
    const password = passwords.get(user);
    if (password === undefined) throw new RangeError(`no password for the NATS user ${user}`);
    return [
      '    {',
      `      user: ${quoted(user)}`,
      `      password: ${quoted(password.reveal())}`,
      '      permissions: {',
      `        publish: [${publish.map(quoted).join(', ')}]`,
      `        subscribe: [${subscribe.map(quoted).join(', ')}]`,
      '      }',
      '    }',
    ].join('\n');
  });
  return `authorization {\n  users = [\n${entries.join('\n')}\n  ]\n}\n`;
}

/** A string of nats-server's configuration language, whose escapes are those of JSON but for control characters. */
function quoted(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new RangeError('a NATS name or password holds a control character');
  return JSON.stringify(text);
}
