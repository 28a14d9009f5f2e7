import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Redacted } from '@token-broker/foundation';
import { BROKER_USERS, CALLERS, CLIENT_OF_SOURCE } from './participants.js';

/** Secrets that live as long as one local system: made when it starts, kept in files that only their owner reads. */
export interface Secrets {
  /** By NATS user. */
  readonly natsPasswords: ReadonlyMap<string, Redacted>;
  readonly redisPassword: Redacted;
  /** 32 bytes in base64: seals the tokens in Redis and in events. */
  readonly sealingKey: Redacted;
  /** Of the brokers at the identity provider, by client id. */
  readonly clientSecrets: ReadonlyMap<string, Redacted>;
}

export function generateSecrets(): Secrets {
  return {
    natsPasswords: new Map([...BROKER_USERS, ...CALLERS].map((user) => [user, randomSecret()])),
    redisPassword: randomSecret(),
    sealingKey: new Redacted(randomBytes(32).toString('base64')),
    clientSecrets: new Map(Object.values(CLIENT_OF_SOURCE).map((clientId) => [clientId, randomSecret()])),
  };
}

export function randomSecret(): Redacted {
  return new Redacted(randomBytes(24).toString('base64url'));
}

/**
 * Writes files, folder 0700 and file 0600 whatever the umask is.
 *
 * @param files texts by path, relative to `directory`
 * @param ownerId the user who is to read them. Default: who runs this.
 */
export async function writePrivately(
  directory: string,
  files: Readonly<Record<string, string>>,
  ownerId?: number,
): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    const folder = dirname(file);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(file, text, { mode: 0o600 });
    await chmod(folder, 0o700);
    await chmod(file, 0o600);
    if (ownerId === undefined) continue;
    await chown(folder, ownerId, -1);
    await chown(file, ownerId, -1);
  }
}
