import type { SeededRandom } from '@token-broker/testing';

/** How an identity provider deals with refresh tokens. */
export interface RefreshTokenRules {
  /** A token that was spent may come again for so long, and is given the same successor; later, it ends its family. */
  readonly graceMs: number;
  /** `sometimes`: it omits a successor now and then, and the token that it was given stays good. */
  readonly rotation: 'always' | 'sometimes';
  /** So many sources, the first ones, are served with refresh tokens. */
  readonly sources: number;
}

interface Family {
  readonly name: string;
  readonly source: string;
  isOver: boolean;
}

interface RefreshToken {
  readonly family: Family;
  spent: { readonly atMs: number; readonly successor: string } | undefined;
}

export type Redeemed =
  /** Without `successor`, the token stays good. */
  | { readonly kind: 'granted'; readonly family: string; readonly successor: string | undefined }
  /** `ended`: this very use has ended its family. */
  | { readonly kind: 'refused'; readonly ended: string | undefined };

const KEPT = 0.5;

/** The refresh tokens of an identity provider. Each is a link of the chain that a person's consent began. */
export class RefreshTokenFamilies {
  readonly #rules: RefreshTokenRules;
  readonly #random: SeededRandom;
  readonly #now: () => number;
  readonly #tokens = new Map<string, RefreshToken>();
  readonly #families = new Map<string, Family>();

  constructor(rules: RefreshTokenRules, random: SeededRandom, now: () => number) {
    this.#rules = rules;
    this.#random = random;
    this.#now = now;
  }

  /** Somebody logs in: a family begins. */
  begin(source: string): string {
    const family = { name: `family-${String(this.#families.size + 1)}`, source, isOver: false };
    this.#families.set(family.name, family);
    return this.#make(family);
  }

  familyOf(token: string): string | undefined {
    return this.#tokens.get(token)?.family.name;
  }

  redeem(token: string): Redeemed {
    const known = this.#tokens.get(token);
    if (known === undefined || known.family.isOver) return { kind: 'refused', ended: undefined };
    const { family, spent } = known;
    if (spent === undefined) {
      const isKept = this.#rules.rotation === 'sometimes' && this.#random.uniform() < KEPT;
      if (isKept) return { kind: 'granted', family: family.name, successor: undefined };
      const successor = this.#make(family);
      known.spent = { atMs: this.#now(), successor };
      return { kind: 'granted', family: family.name, successor };
    }
    if (this.#now() <= spent.atMs + this.#rules.graceMs)
      return { kind: 'granted', family: family.name, successor: spent.successor };
    // Somebody has stolen it, as far as the provider can tell.
    family.isOver = true;
    return { kind: 'refused', ended: family.name };
  }

  /** Consent is withdrawn: all families of the source end. Returns those that did. */
  withdraw(source: string): string[] {
    const ended = [...this.#families.values()].filter((family) => family.source === source && !family.isOver);
    for (const family of ended) family.isOver = true;
    return ended.map(({ name }) => name);
  }

  #make(family: Family): string {
    const token = `refresh-${String(this.#tokens.size + 1)}`;
    this.#tokens.set(token, { family, spent: undefined });
    return token;
  }
}
