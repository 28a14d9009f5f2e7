import type { Provider, ProviderFailure, ProviderRequest } from '@token-broker/broker/simulation';
import { delay, err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken } from '@token-broker/broker/simulation';
import type { EventLoop, SeededRandom, SimulatedProcess } from '@token-broker/testing';
import { RefreshTokenFamilies, type RefreshTokenRules } from './refresh-token-families.js';

/** What the identity provider does with the next calls. */
export type Mood = 'well' | 'slow' | 'hung' | 'busy' | 'failing' | 'resetting' | 'malformed' | 'distant' | 'denying';

/** How long one that caches gives the same token. */
const CACHED_MS = 6_000;

type Reply = Result<IssuedToken, ProviderFailure>;

/** A call, and the permit that it was made with. */
export interface WatchedCall {
  readonly call: number;
  readonly permit: string | undefined;
}

/** What an observer sees of a call. */
export interface CallWatch {
  called(process: SimulatedProcess): WatchedCall;
  /** It has reached the provider. `family`: of its refresh token. */
  arrived(
    call: WatchedCall,
    refreshToken: string | undefined,
    family: string | undefined,
    process: SimulatedProcess,
  ): void;
  /** `undefined`: no reply came in time. */
  ended(call: WatchedCall, reply: Reply | undefined, hadRefreshToken: boolean, process: SimulatedProcess): void;
  issued(call: number, token: string, lifeMs: number, expiresAtMs: number, family: string | undefined): void;
  takenBack(token: string, process: SimulatedProcess): void;
  familyEnded(family: string, why: 'replayed' | 'withdrawn'): void;
}

/** One call as the provider serves it. */
interface Served {
  readonly call: number;
  /** Source and audience. */
  readonly key: string;
  readonly refreshToken: string | undefined;
}

/** An identity provider behind a network: slow, hung, refusing, broken, or one that gives the same token twice. */
export class IdentityProvider {
  mood: Mood = 'well';
  calls = 0;
  readonly families: RefreshTokenFamilies;
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #options: IdentityProviderOptions;
  readonly #cached = new Map<
    string,
    { readonly token: string; readonly expiresAtMs: number; readonly cachedUntilMs: number }
  >();
  #tokens = 0;

  constructor(loop: EventLoop, random: SeededRandom, options: IdentityProviderOptions) {
    this.#loop = loop;
    this.#random = random;
    this.#options = options;
    this.families = new RefreshTokenFamilies(options.refreshTokens, random, () => loop.nowMs);
  }

  /** Consent is withdrawn: refresh tokens of the source, and the access tokens that came of them, are dead. */
  withdraw(source: string): void {
    for (const family of this.families.withdraw(source)) this.#options.watch.familyEnded(family, 'withdrawn');
  }

  /** One process's way to it, for one source. */
  provider(source: string, mayRotate: boolean, timeoutMs: number, process: SimulatedProcess): Provider {
    return {
      capabilities: {
        ...{ canRevoke: true, mayRotate, longestLifeMs: Number.MAX_SAFE_INTEGER },
        ...{ callsUpstream: true, needsRefresher: true, takesParameters: true },
      },
      fetch: (request) => this.#fetch(source, timeoutMs, request, process),
      revoke: (token) => {
        this.#options.watch.takenBack(token.reveal(), process);
        for (const [key, cached] of this.#cached) if (cached.token === token.reveal()) this.#cached.delete(key);
        return Promise.resolve(ok('revoked' as const));
      },
      readSubject: () => Promise.resolve(ok(undefined)),
      close: () => Promise.resolve(),
    };
  }

  async #fetch(source: string, timeoutMs: number, request: ProviderRequest, process: SimulatedProcess): Promise<Reply> {
    const { watch } = this.#options;
    this.calls++;
    const watched = watch.called(process);
    const refreshToken = request.refreshToken?.reveal();
    const served = { call: watched.call, key: `${source} ${request.audience ?? ''}`, refreshToken };
    const reply = new Promise<Reply>((resolve) => {
      process.leave('idp:call', () => {
        this.#loop.after(this.#tripTo(), () => {
          const family = refreshToken === undefined ? undefined : this.families.familyOf(refreshToken);
          watch.arrived(watched, refreshToken, family, process);
          this.#serve(served, (answer) => {
            this.#loop.after(this.#trip(), () => {
              process.enter(() => {
                resolve(answer);
              });
            });
          });
        });
      });
    });
    const ended = await Promise.race([reply, delay(process.clock, timeoutMs)]);
    watch.ended(watched, ended ?? undefined, refreshToken !== undefined, process);
    return ended ?? refused('IDP_TIMEOUT');
  }

  #serve(served: Served, answer: (reply: Reply) => void): void {
    switch (this.mood) {
      case 'well':
      case 'distant':
        answer(this.#issue(served));
        return;
      case 'slow':
        this.#loop.after(this.#options.slowMs * this.#random.uniform(), () => {
          answer(this.#issue(served));
        });
        return;
      case 'hung':
        return;
      case 'busy':
        answer(refused('QUOTA_EXHAUSTED', { retryAfterMs: 500 + this.#random.integer(3_000) }));
        return;
      case 'failing':
        answer(refused('IDP_UNAVAILABLE'));
        return;
      case 'resetting':
        // The token was made, and nobody has heard of it.
        this.#issue(served);
        answer(refused('IDP_UNAVAILABLE'));
        return;
      case 'malformed':
        // What cannot be read may have had a successor in it.
        if (served.refreshToken !== undefined) this.#issue(served);
        answer(refused('IDP_PROTOCOL'));
        return;
      case 'denying':
        answer(refused('IDP_DENIED', { refused: 'credential' }));
    }
  }

  #issue({ call, key, refreshToken }: Served): Reply {
    const { lifeMs, watch } = this.#options;
    const redeemed = refreshToken === undefined ? undefined : this.families.redeem(refreshToken);
    if (redeemed?.kind === 'refused') {
      if (redeemed.ended !== undefined) watch.familyEnded(redeemed.ended, 'replayed');
      return refused('REAUTH_REQUIRED', { refused: 'refresh-token' });
    }
    const known = this.#cached.get(key);
    if (this.#options.caches && known !== undefined && known.cachedUntilMs > this.#loop.nowMs) {
      const leftMs = Math.floor(known.expiresAtMs - this.#loop.nowMs);
      watch.issued(call, known.token, leftMs, known.expiresAtMs, undefined);
      return ok({ accessToken: new Redacted(known.token), tokenType: 'Bearer', lifeMs: leftMs });
    }
    const token = `token-${String(++this.#tokens)}`;
    const expiresAtMs = this.#loop.nowMs + lifeMs;
    const cachedUntilMs = this.#loop.nowMs + Math.min(CACHED_MS, lifeMs / 2);
    this.#cached.set(key, { token, expiresAtMs, cachedUntilMs });
    watch.issued(call, token, lifeMs, expiresAtMs, redeemed?.family);
    return ok({
      accessToken: new Redacted(token),
      tokenType: 'Bearer',
      lifeMs,
      ...(redeemed?.successor === undefined ? {} : { refreshToken: new Redacted(redeemed.successor) }),
    });
  }

  /** Those that are far away are reached at any time before the caller gives up. */
  #tripTo(): number {
    return this.mood === 'distant' ? this.#options.distantMs * this.#random.uniform() : this.#trip();
  }

  #trip(): number {
    return this.#options.latencyMs * (0.25 + 0.5 * this.#random.uniform());
  }
}

export interface IdentityProviderOptions {
  readonly lifeMs: number;
  readonly latencyMs: number;
  readonly slowMs: number;
  /** The longest way to it, when it is distant. */
  readonly distantMs: number;
  /** Gives a token that it has issued before, for some time. */
  readonly caches: boolean;
  readonly refreshTokens: RefreshTokenRules;
  readonly watch: CallWatch;
}

function refused(code: ProviderFailure['code'], more: Partial<ProviderFailure> = {}): Reply {
  return err({ code, message: 'no token', detail: 'simulated', ...more });
}
