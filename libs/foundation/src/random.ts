/** Randomness, as a port: seeded in tests and simulations, the operating system's in production. */
export interface Random {
  /** A number in [0, 1), for jitter. Not for secrets. */
  uniform(): number;
  /** `length` unpredictable bytes, for keys and nonces. */
  bytes(length: number): Uint8Array;
}

/** An identifier of 128 random bits in 22 characters of base64url: unique without coordination. */
export function randomId(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('base64url');
}
