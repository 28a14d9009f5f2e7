import { err, ok, type Aead, type Redacted, type Result } from '@token-broker/foundation';

export interface KeyringKey {
  readonly id: string;
  readonly secret: Redacted<Uint8Array>;
}

/** Layout of a sealed value: version, length of the key id, key id, then what {@link Aead} made. */
const LAYOUT_VERSION = 1;

/**
 * `unknown-key`: sealed under a key that this broker does not have; another may. `later-layout`: written by a later version
 * of the broker. `corrupt`: not what we wrote, or not where we wrote it.
 */
export type UnsealFailure = 'unknown-key' | 'later-layout' | 'corrupt';

/** The first key seals, all open: keys rotate without a moment in which somebody cannot read. */
export class Keyring {
  readonly #aead: Aead;
  #keys: readonly [KeyringKey, ...KeyringKey[]];

  constructor(aead: Aead, keys: readonly [KeyringKey, ...KeyringKey[]]) {
    this.#aead = aead;
    this.#keys = keys;
  }

  replace(keys: readonly [KeyringKey, ...KeyringKey[]]): void {
    this.#keys = keys;
  }

  /** Id of the key that seals. */
  get sealsBy(): string {
    return this.#keys[0].id;
  }

  seal(plaintext: Uint8Array, additionalData: Uint8Array): Uint8Array {
    const [key] = this.#keys;
    const id = Buffer.from(key.id);
    return Buffer.concat([
      Buffer.of(LAYOUT_VERSION, id.length),
      id,
      this.#aead.seal(key.secret.reveal(), plaintext, additionalData),
    ]);
  }

  open(sealed: Uint8Array, additionalData: Uint8Array): Result<Uint8Array, UnsealFailure> {
    const idOf = this.#keyIdOf(sealed);
    if (!idOf.ok) return idOf;
    const key = this.#keys.find(({ id }) => id === idOf.value);
    if (key === undefined) return err('unknown-key');
    const body = sealed.subarray(2 + Buffer.byteLength(idOf.value));
    const plaintext = this.#aead.open(key.secret.reveal(), body, additionalData);
    return plaintext === undefined ? err('corrupt') : ok(plaintext);
  }

  /** Whether a value is sealed under the key that seals now. */
  isCurrent(sealed: Uint8Array): boolean {
    const id = this.#keyIdOf(sealed);
    return id.ok && id.value === this.#keys[0].id;
  }

  #keyIdOf(sealed: Uint8Array): Result<string, UnsealFailure> {
    const [layout, length] = sealed;
    if (layout === undefined || length === undefined || length === 0 || layout === 0) return err('corrupt');
    if (layout > LAYOUT_VERSION) return err('later-layout');
    if (sealed.length < 2 + length) return err('corrupt');
    const id = Buffer.from(sealed.subarray(2, 2 + length)).toString('utf8');
    // A flipped bit in the id looks like a key of somebody else; only a well-formed id is given that benefit.
    return /^[A-Za-z0-9_-]+$/.test(id) ? ok(id) : err('corrupt');
  }
}
