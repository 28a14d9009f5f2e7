import type { Provider, ProviderFailure, ProviderRequest } from '@token-broker/broker/simulation';
import { delay, err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken } from '@token-broker/broker/simulation';
import type { EventLoop, SeededRandom, SimulatedProcess } from '@token-broker/testing';

/** What the identity provider does with the next calls. */
export type Mood = 'well' | 'slow' | 'hung' | 'busy' | 'failing' | 'resetting' | 'malformed';

/** How long one that caches gives the same token. */
const CACHED_MS = 6_000;

type Reply = Result<IssuedToken, ProviderFailure>;

/** What an observer sees of a call. */
export interface CallWatch {
  called(source: string, audience: string | undefined, process: SimulatedProcess): number;
  ended(call: number, process: SimulatedProcess): void;
  issued(call: number, token: string, lifeMs: number, expiresAtMs: number): void;
  takenBack(token: string, process: SimulatedProcess): void;
}

/** An identity provider behind a network: slow, hung, refusing, broken, or one that gives the same token twice. */
export class IdentityProvider {
  mood: Mood = 'well';
  calls = 0;
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
  }

  /** One process's way to it, for one source. */
  provider(source: string, timeoutMs: number, process: SimulatedProcess): Provider {
    return {
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
    const call = watch.called(source, request.audience, process);
    const reply = new Promise<Reply>((resolve) => {
      process.leave('idp:call', () => {
        this.#loop.after(this.#trip(), () => {
          this.#serve(call, `${source} ${request.audience ?? ''}`, (served) => {
            this.#loop.after(this.#trip(), () => {
              process.enter(() => {
                resolve(served);
              });
            });
          });
        });
      });
    });
    const ended = await Promise.race([reply, delay(process.clock, timeoutMs)]);
    watch.ended(call, process);
    return ended ?? refused('IDP_TIMEOUT');
  }

  #serve(call: number, key: string, answer: (reply: Reply) => void): void {
    switch (this.mood) {
      case 'well':
        answer(this.#issue(call, key));
        return;
      case 'slow':
        this.#loop.after(this.#options.slowMs * this.#random.uniform(), () => {
          answer(this.#issue(call, key));
        });
        return;
      case 'hung':
        return;
      case 'busy':
        answer(refused('QUOTA_EXHAUSTED', 500 + this.#random.integer(3_000)));
        return;
      case 'failing':
        answer(refused('IDP_UNAVAILABLE'));
        return;
      case 'resetting':
        // The token was made, and nobody has heard of it.
        this.#issue(call, key);
        answer(refused('IDP_UNAVAILABLE'));
        return;
      case 'malformed':
        answer(refused('IDP_PROTOCOL'));
    }
  }

  #issue(call: number, key: string): Reply {
    const { lifeMs, watch } = this.#options;
    const known = this.#cached.get(key);
    if (this.#options.caches && known !== undefined && known.cachedUntilMs > this.#loop.nowMs) {
      const leftMs = Math.floor(known.expiresAtMs - this.#loop.nowMs);
      watch.issued(call, known.token, leftMs, known.expiresAtMs);
      return ok({ accessToken: new Redacted(known.token), tokenType: 'Bearer', lifeMs: leftMs });
    }
    const token = `token-${String(++this.#tokens)}`;
    const expiresAtMs = this.#loop.nowMs + lifeMs;
    const cachedUntilMs = this.#loop.nowMs + Math.min(CACHED_MS, lifeMs / 2);
    this.#cached.set(key, { token, expiresAtMs, cachedUntilMs });
    watch.issued(call, token, lifeMs, expiresAtMs);
    return ok({ accessToken: new Redacted(token), tokenType: 'Bearer', lifeMs });
  }

  #trip(): number {
    return this.#options.latencyMs * (0.25 + 0.5 * this.#random.uniform());
  }
}

export interface IdentityProviderOptions {
  readonly lifeMs: number;
  readonly latencyMs: number;
  readonly slowMs: number;
  /** Gives a token that it has issued before, for some time. */
  readonly caches: boolean;
  readonly watch: CallWatch;
}

function refused(code: ProviderFailure['code'], retryAfterMs?: number): Reply {
  return err({
    code,
    message: 'no token',
    detail: 'simulated',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
