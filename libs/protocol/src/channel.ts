/** What a sealed push is bound to: an old event cannot be replayed as a newer one, nor one slot's as another's. */
export interface PushBinding {
  readonly slot: string;
  readonly epoch: number;
  readonly generation: number;
  readonly channelVersion: number;
}

/** The additional authenticated data of a push (AES-256-GCM; nonce, ciphertext and tag in one base64url text). */
export function pushAdditionalData(binding: PushBinding): Uint8Array {
  return Buffer.from(
    JSON.stringify(['token-broker.push.v1', binding.slot, binding.epoch, binding.generation, binding.channelVersion]),
  );
}
