import { createSystemClock, delay } from '@token-broker/foundation';
import type { ScriptedReply } from '@token-broker/testing';
import type { Settings } from '../../integration/stack.js';
import { tokenFor, type Arrival } from '../../integration/watched-provider.js';

/** A renewal of `late` takes so long: longer than the alert allows, shorter than the source’s time limit. */
const LATE_MS = 10_600;
/** A call of `airborne` and `locked` takes so long: time enough to do something to it. */
const SLOW_MS = 700;

/** What the sources are for: each has a client of its own, and what happens to one happens to no other. */
export const SOURCES: Readonly<Record<string, Settings>> = {
  /** Nothing happens to it, but traffic. */
  calm: {},
  /** Renewed again and again, in time. */
  renewed: { refresh: { ahead: '50%' } },
  /** Renewed late. */
  late: { refresh: { ahead: '50%' } },
  /** Its renewals fail. */
  fading: { refresh: { ahead: '50%' } },
  metered: { quota: { limit: 4, window: '31d', reserve: 1 } },
  throttled: {},
  failing: {},
  dead: {},
  /** Nobody has given it a refresh token. */
  unseeded: { grant: 'refresh_token' },
  /** It returns the token that was revoked. */
  repeating: {},
  airborne: {},
  locked: {},
};

const LIFE_MS: Readonly<Record<string, number>> = { renewed: 6_000, late: 24_000, fading: 8_000 };

/** Answers as an identity provider would in whose hands each source has its own fate. */
export function createFates(): (arrival: Arrival) => Promise<ScriptedReply> {
  const clock = createSystemClock();
  const calls = new Map<string, number>();
  return async (arrival) => {
    const { tenant } = arrival;
    const call = (calls.get(tenant) ?? 0) + 1;
    calls.set(tenant, call);
    switch (tenant) {
      case 'throttled':
        return { status: 429, headers: { 'retry-after': '60' }, body: { error: 'slow_down' } };
      case 'failing':
        return { status: 500, body: { error: 'server_error' } };
      case 'fading':
        if (call > 1) return { status: 500, body: { error: 'server_error' } };
        break;
      case 'dead':
        return { status: 401, body: { error: 'invalid_client' } };
      case 'repeating':
        return { body: { access_token: 'always-the-same', token_type: 'Bearer', expires_in: 600 } };
      case 'late':
        if (call === 2) await delay(clock, LATE_MS);
        break;
      case 'airborne':
      case 'locked':
        await delay(clock, SLOW_MS);
        break;
    }
    return tokenFor(arrival, LIFE_MS[tenant]);
  };
}
