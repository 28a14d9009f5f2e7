import { failure, TokenBrokerError } from '@token-broker/protocol';
import type { SourceHandle } from './handle.js';

/** As whom a driver opens a connection. `pg` tells it to the function that it takes in place of a password. */
export interface OpenedConnection {
  readonly user?: string | undefined;
}

/**
 * What a database driver takes in place of a password, such as `pg`'s `password`: a function that it calls for each connection that it
 * opens, so that each is opened with the credential that counts then.
 *
 * Where both the driver and the credential name a user, they must be the same one. The password of another user would be refused, and
 * counted as an attack by some: open a new pool on `usernameChanged`.
 *
 * @returns a function that rejects with a {@link TokenBrokerError}: those of `handle.get`, and `BAD_REQUEST` for another user
 */
export function passwordOf(
  handle: Pick<SourceHandle, 'source' | 'get'>,
): (connection?: OpenedConnection) => Promise<string> {
  return async (connection) => {
    const { accessToken, username } = await handle.get();
    const user = connection?.user;
    if (username === undefined || user === undefined || user === username) return accessToken;
    const message = `the credential of "${handle.source}" is of the user "${username}", and "${user}" opens the connection`;
    throw new TokenBrokerError(failure('BAD_REQUEST', message));
  };
}
