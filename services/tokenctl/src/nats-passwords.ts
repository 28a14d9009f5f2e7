import { Redacted, type Random } from '@token-broker/foundation';

/** 192 bits: beyond guessing, also for somebody who has the NATS server's file of hashes. */
const PASSWORD_BYTES = 24;

/** Where the passwords of NATS users come from, by user. */
export type NatsPasswords =
  | { readonly kind: 'generated'; readonly byUser: ReadonlyMap<string, Redacted> }
  /** Names of environment variables of the NATS server. */
  | { readonly kind: 'variables'; readonly byUser: ReadonlyMap<string, string> };

/** New passwords that begin with a letter, so that no configuration language takes one for a number. */
export function generatedPasswords(users: readonly string[], random: Random): Map<string, Redacted> {
  return new Map(
    users.map((user) => [user, new Redacted(`p${Buffer.from(random.bytes(PASSWORD_BYTES)).toString('base64url')}`)]),
  );
}

/** `payments-api` → `NATS_PASSWORD_PAYMENTS_API`; names that would be the same are numbered. */
export function passwordVariables(users: readonly string[]): Map<string, string> {
  const taken = new Set<string>();
  return new Map(
    users.map((user) => {
      const base = `NATS_PASSWORD_${user.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
      let name = base;
      for (let number = 2; taken.has(name); number++) name = `${base}_${String(number)}`;
      taken.add(name);
      return [user, name];
    }),
  );
}
