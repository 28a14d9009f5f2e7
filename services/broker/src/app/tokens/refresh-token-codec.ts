import { Redacted, type Result } from '@token-broker/foundation';
import type { Keyring, UnsealFailure } from './keyring.js';
import type { JournalAddress, JournalEntry } from '../ports/refresh-token-journal.js';

/**
 * Seals refresh tokens for the journal. A sealed token opens only at its own place: in this namespace, for this source and
 * upstream, as this member of this family. One that was copied, or put back from a backup, is not spent by mistake.
 */
export class RefreshTokenCodec {
  readonly #keyring: Keyring;
  readonly #namespace: string;

  constructor(keyring: Keyring, namespace: string) {
    this.#keyring = keyring;
    this.#namespace = namespace;
  }

  seal(address: JournalAddress, { family, sequence }: Omit<JournalEntry, 'sealed'>, token: Redacted): Uint8Array {
    return this.#keyring.seal(Buffer.from(token.reveal()), this.#bind(address, family, sequence));
  }

  open(address: JournalAddress, { family, sequence, sealed }: JournalEntry): Result<Redacted, UnsealFailure> {
    const opened = this.#keyring.open(sealed, this.#bind(address, family, sequence));
    return opened.ok ? { ok: true, value: new Redacted(Buffer.from(opened.value).toString('utf8')) } : opened;
  }

  #bind({ source, upstream }: JournalAddress, family: string, sequence: number): Uint8Array {
    const place = [this.#namespace, source, upstream, family, sequence];
    return Buffer.from(JSON.stringify(['token-broker.refresh-token.v1', ...place]));
  }
}
