import type { Random } from '@token-broker/foundation';
import { sealAdditionalData } from '../../domain/record.js';
import type { Keyring } from './keyring.js';
import type { Store } from '../ports/store.js';

const NAME = 'recipe-key';
const BYTES = 32;

/**
 * The key of the recipes: made once, shared by all replicas in Redis, sealed by the keyring. It is not one of the sealing
 * keys, so that rotating those changes no recipe and costs no token. `known` is offered again where Redis has lost it.
 */
export async function loadRecipeKey(
  ports: { readonly store: Store; readonly keyring: Keyring; readonly random: Random },
  namespace: string,
  known: Uint8Array | undefined,
): Promise<Uint8Array> {
  const { store, keyring, random } = ports;
  const additionalData = sealAdditionalData({
    namespace,
    slot: '',
    recipe: '',
    epoch: 0,
    generation: 0,
    field: 'recipe-key',
  });
  const candidate = known ?? random.bytes(BYTES);
  const sealed = await store.sharedSecret(NAME, keyring.seal(candidate, additionalData));
  const opened = keyring.open(sealed, additionalData);
  if (!opened.ok) {
    throw new KeyringMismatch(
      'the records in Redis are sealed under a key that is not in `encryption.keys` of this broker: give it the keys of its peers, or a namespace of its own',
    );
  }
  // After a rotation the new key seals, so that the old one can be taken out of the configuration.
  if (!keyring.isCurrent(sealed)) await store.replaceSharedSecret(NAME, keyring.seal(opened.value, additionalData));
  return opened.value;
}

/** This broker cannot read what its peers have sealed. It must not go on: it would fetch what they have fetched. */
export class KeyringMismatch extends Error {
  override readonly name = 'KeyringMismatch';
}
