import { delay, err, ok, Redacted, type Clock, type Result } from '@token-broker/foundation';
import type {
  IssuedToken,
  Provider,
  ProviderCapabilities,
  ProviderFailure,
  ProviderRequest,
} from '../ports/provider.js';

export type Issue = Result<IssuedToken, ProviderFailure>;

/** Those of a usual identity provider. */
export const CAPABILITIES: ProviderCapabilities = {
  canRevoke: true,
  mayRotate: false,
  longestLifeMs: 31_536_000_000,
  callsUpstream: true,
  needsRefresher: true,
  takesParameters: true,
};

/** An identity provider that numbers its tokens, and counts who is calling at once. */
export class FakeIdentityProvider {
  /** Of the tokens that it issues. */
  lifeMs = 600_000;
  /** How long a call takes. */
  tookMs = 0;
  /** In place of the next tokens. */
  answer: ((call: number, request: ProviderRequest) => Issue | undefined) | undefined;
  /** In place of taking the next tokens back. */
  revoking: ((token: string) => Awaited<ReturnType<Provider['revoke']>>) | undefined;
  /** What it says of a token that a caller gave. Otherwise none is good. */
  reading: ((token: string) => ReturnType<Provider['readSubject']>) | undefined;
  /** How long its connections take to close. */
  closing: Promise<void> = Promise.resolve();
  calls = 0;
  mostAtOnce = 0;
  readonly requests: ProviderRequest[] = [];
  readonly takenBack: string[] = [];
  /** The handles that came with them; `undefined`: none. */
  readonly handles: (string | undefined)[] = [];
  readonly #clock: Clock;
  #atOnce = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One source's way to it. */
  provider(capabilities: Partial<ProviderCapabilities> = {}): Provider {
    let isClosed = false;
    return {
      capabilities: { ...CAPABILITIES, ...capabilities },
      fetch: (request) => (isClosed ? Promise.resolve(refused('IDP_UNAVAILABLE')) : this.#fetch(request)),
      revoke: (token, handle) => {
        this.takenBack.push(token.reveal());
        this.handles.push(handle?.reveal());
        return Promise.resolve(this.revoking?.(token.reveal()) ?? ok('revoked' as const));
      },
      readSubject: (token) => this.reading?.(token.reveal()) ?? Promise.resolve(ok(undefined)),
      close: () => {
        isClosed = true;
        return this.closing;
      },
    };
  }

  async #fetch(request: ProviderRequest): Promise<Issue> {
    const call = ++this.calls;
    this.requests.push(request);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    const { lifeMs } = this;
    if (this.tookMs > 0) await delay(this.#clock, this.tookMs);
    else await Promise.resolve();
    this.#atOnce--;
    return this.answer?.(call, request) ?? issued(`token-${String(call)}`, lifeMs);
  }
}

export function issued(accessToken: string, lifeMs: number, more: Partial<IssuedToken> = {}): Issue {
  return ok({ accessToken: new Redacted(accessToken), tokenType: 'Bearer', lifeMs, ...more });
}

export function refused(
  code: ProviderFailure['code'],
  retryAfterMs?: number,
  more: Partial<ProviderFailure> = {},
): Issue {
  return err({
    code,
    message: 'no token',
    detail: 'the fake was told so',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...more,
  });
}
