import type Provider from 'oidc-provider';

/** What became of refresh tokens at the provider, since its start or since the counts were reset. */
export interface RefreshTokenCounts {
  /** Uses that brought a token; with rotation each of them spent a refresh token. */
  readonly used: number;
  /** Those of them that used one which was spent before, within the grace period. */
  readonly forgiven: number;
  /** Uses of a spent one that were refused. */
  readonly replayed: number;
  /** Families of refresh tokens, with their access tokens, that a replay or a revocation ended. */
  readonly familiesRevoked: number;
}

/** Counts by what the provider itself tells. */
export class RefreshTokenWatch {
  #counts = { used: 0, forgiven: 0, replayed: 0, familiesRevoked: 0 };

  get counts(): RefreshTokenCounts {
    return { ...this.#counts };
  }

  reset(): void {
    this.#counts = { used: 0, forgiven: 0, replayed: 0, familiesRevoked: 0 };
  }

  /** A spent refresh token was spent again, and taken. */
  forgave(): void {
    this.#counts.forgiven += 1;
  }

  watch(provider: Provider): void {
    provider.on('grant.success', ({ oidc }) => {
      if (oidc?.params?.['grant_type'] === 'refresh_token') this.#counts.used += 1;
    });
    provider.on('grant.error', (_, error) => {
      if (error?.error_detail === ALREADY_USED) this.#counts.replayed += 1;
    });
    provider.on('grant.revoked', () => {
      this.#counts.familiesRevoked += 1;
    });
  }
}

/** The provider's own words, and those of the storage, for a replay. */
export const ALREADY_USED = 'refresh token already used';
