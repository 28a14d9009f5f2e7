import { renderNatsAuthorization, type NatsUserPermissions } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import type { NatsPasswords } from '../nats-passwords.js';

/** The `authorization` block of a nats-server configuration file. */
export function renderAuthorization(users: readonly NatsUserPermissions[], passwords: NatsPasswords): string {
  if (passwords.kind === 'generated') return renderNatsAuthorization(users, passwords.byUser);
  const references = new Map([...passwords.byUser].map(([user, name]) => [user, new Redacted(`$${name}`)]));
  // In quotes the server would take the reference for the password itself.
  return renderNatsAuthorization(users, references).replaceAll(/^( *password: )"(\$[A-Z0-9_]+)"$/gm, '$1$2');
}

/** The same as JSON, for other ways of making users. A password that comes from the environment is `passwordVariable`. */
export function renderUsers(users: readonly NatsUserPermissions[], passwords: NatsPasswords): string {
  const objects = users.map(({ user, publish, subscribe }) => ({
    user,
    ...(passwords.kind === 'generated'
      ? { password: passwords.byUser.get(user)?.reveal() }
      : { passwordVariable: passwords.byUser.get(user) }),
    permissions: { publish: { allow: publish }, subscribe: { allow: subscribe } },
  }));
  return `${JSON.stringify({ users: objects }, null, 2)}\n`;
}
