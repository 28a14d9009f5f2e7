import { backoffMs, delay } from '@token-broker/foundation';
import { StoreError } from '../ports/store.js';
import { revoke, type RevocationPorts } from './revocation.js';
import type { Source } from '../sources/sources.js';

const BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** Families that this replica remembers to have cut off. */
const REMEMBERED = 1_000;

/**
 * A provider that refuses a refresh token has ended its whole family: replayed, revoked or expired, the access tokens that
 * it gave are dead there (RFC 9700 §4.14.2) and must be dead here. Each replica that learns of it cuts the source off, as
 * one and the same revocation, and goes on until Redis has taken it.
 */
export class FamilyEnds {
  readonly #ports: RevocationPorts;
  readonly #seen = new Set<string>();

  constructor(ports: RevocationPorts) {
    this.#ports = ports;
  }

  over(source: Source, family: string): void {
    if (this.#seen.has(family)) return;
    if (this.#seen.size >= REMEMBERED) this.#seen.clear();
    this.#seen.add(family);
    void this.#cutOff(source.configuration.name, family);
  }

  async #cutOff(source: string, family: string): Promise<void> {
    const { clock, random, log } = this.#ports;
    const order = {
      targets: [{ target: { kind: 'source', source } }],
      by: 'token-broker',
      reason: 'the identity provider has ended the family of its refresh token',
      id: `family-${family}`,
    } as const;
    for (let tries = 1; ; tries++) {
      try {
        await revoke(this.#ports, order);
        return;
      } catch (error) {
        if (!(error instanceof StoreError)) {
          log.error('refresh token: its family could not be cut off', { source, reason: String(error) });
          return;
        }
      }
      await delay(clock, backoffMs(BACKOFF, tries, random.uniform()));
    }
  }
}
