/** A token of Vault, and what hangs on it. */
export interface VaultToken {
  readonly id: string;
  readonly type: 'service' | 'batch';
  readonly endsAtMs: number;
  /** `undefined`: an orphan. */
  readonly parent: string | undefined;
}

interface Lease {
  readonly token: string;
  readonly endsAtMs: number;
  /** What callers were given. */
  readonly secret: string;
}

/**
 * Tokens and leases as Vault keeps them: what is issued hangs on the token that it was asked for with. Whoever ends a token, its
 * own end included, ends its children and its leases.
 */
export class VaultState {
  readonly #tokens = new Map<string, VaultToken>();
  readonly #leases = new Map<string, Lease>();
  /** Secrets that were ended before their time, and tokens that were handed out and were; the oldest first. */
  readonly takenBack: string[] = [];
  nowMs = 0;
  #count = 0;

  get tokens(): readonly VaultToken[] {
    return [...this.#tokens.values()];
  }

  /** The secrets that are good. */
  get secrets(): readonly string[] {
    return [...this.#leases.values()].map(({ secret }) => secret);
  }

  createToken(lifeMs: number, type: VaultToken['type'], parent: string | undefined): VaultToken {
    const prefix = type === 'batch' ? 'hvb.' : 'hvs.';
    const id = `${prefix}canary${String(++this.#count).padStart(20, '0')}`;
    const token = { id, type, endsAtMs: this.nowMs + lifeMs, parent };
    this.#tokens.set(id, token);
    return token;
  }

  token(id: string): VaultToken | undefined {
    return this.#tokens.get(id);
  }

  createLease(path: string, token: string, secret: string, lifeMs: number): string {
    const id = `${path}/lease${String(++this.#count).padStart(20, '0')}`;
    this.#leases.set(id, { token, endsAtMs: this.nowMs + lifeMs, secret });
    return id;
  }

  revokeToken(id: string): void {
    if (!this.#tokens.delete(id)) return;
    this.takenBack.push(id);
    for (const child of this.tokens) if (child.parent === id) this.revokeToken(child.id);
    for (const [lease, { token }] of this.#leases) if (token === id) this.revokeLease(lease);
  }

  revokeLease(id: string): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined && this.#leases.delete(id)) this.takenBack.push(lease.secret);
  }

  /** Time goes by. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const { id, endsAtMs } of this.tokens) if (endsAtMs <= this.nowMs) this.revokeToken(id);
    for (const [id, { endsAtMs }] of this.#leases) if (endsAtMs <= this.nowMs) this.revokeLease(id);
  }
}
