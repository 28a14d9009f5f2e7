import { err, ok, within, type Clock, type Redacted, type Result } from '@token-broker/foundation';
import type { CommonSourceConfiguration } from '@token-broker/configuration';
import type {
  IssuedToken,
  Provider,
  ProviderCall,
  ProviderCapabilities,
  ProviderFailure,
  ProviderImplementation,
} from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';
import { createDetail, createMessageMask } from './detail.js';
import { problemOf } from './issued-bounds.js';

/** A wish for a longer pause is a mistake, or an attack on the life of the source. */
const LONGEST_PAUSE_MS = 86_400_000;

const CODES: ReadonlySet<string> = new Set<ProviderFailure['code']>([
  'IDP_DENIED',
  'IDP_UNAVAILABLE',
  'IDP_TIMEOUT',
  'IDP_PROTOCOL',
  'QUOTA_EXHAUSTED',
  'REAUTH_REQUIRED',
]);

export interface GuardOptions {
  readonly source: Pick<CommonSourceConfiguration, 'name' | 'timeoutMs'>;
  /** As the upstream knows the source; empty: in no way that is spelled together with a secret. */
  readonly clientId: string;
  readonly secrets: readonly Redacted[];
  readonly capabilities: ProviderCapabilities;
  /** Begins at once. Rejects where the installation is broken: that is the answer of a call, and the next one loads again. */
  readonly load: () => Promise<ProviderImplementation>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Stands around the implementation of every kind of provider, and keeps what {@link Provider} promises, whatever that one
 * does: calls end within the source's time, nothing rejects, what is issued is within bounds and no longer-lived than can
 * be, and the source's own secrets are in no failure.
 */
export function guardedProvider(options: GuardOptions): Provider {
  const { source, capabilities, clock, log } = options;
  let loading: Promise<ProviderImplementation> | undefined;
  const load = (): Promise<ProviderImplementation> => {
    const begun = (loading ??= options.load());
    begun.catch(() => {
      // Told by the calls; without any, nobody misses it. The next one tries again.
      if (loading === begun) loading = undefined;
    });
    return begun;
  };
  void load();
  let isWarned = false;

  const attempt = async <T>(
    use: (implementation: ProviderImplementation) => Promise<Result<T, ProviderFailure>>,
  ): Promise<Result<T, ProviderFailure>> => {
    let implementation: ProviderImplementation;
    try {
      implementation = await load();
    } catch (error) {
      return err({
        code: 'IDP_UNAVAILABLE',
        message: "the provider's code could not be loaded",
        detail: textOf(error),
      });
    }
    try {
      return await use(implementation);
    } catch (error) {
      return err({ code: 'IDP_PROTOCOL', message: 'the provider broke down', detail: textOf(error) });
    }
  };

  const run = async <T>(
    given: readonly (Redacted | undefined)[],
    use: (implementation: ProviderImplementation, call: ProviderCall) => Promise<Result<T, ProviderFailure>>,
  ): Promise<Result<T, ProviderFailure>> => {
    const aborter = new AbortController();
    const { signal } = aborter;
    const ended = await within(
      clock,
      source.timeoutMs,
      attempt((implementation) => use(implementation, { signal })),
    );
    if (!ended.inTime) {
      aborter.abort();
      const detail = `not within ${String(source.timeoutMs)} ms`;
      return err({ code: 'IDP_TIMEOUT', message: 'the identity provider did not answer in time', detail });
    }
    return ended.value.ok ? ended.value : err(maskedFailure(options, given, ended.value.error));
  };

  const bounded = (issued: IssuedToken): Result<IssuedToken, ProviderFailure> => {
    const problem = problemOf(issued);
    if (problem !== undefined) {
      const { refreshToken, observed } = issued;
      return err({
        code: 'IDP_PROTOCOL',
        message: `what was issued is refused: ${problem}`,
        detail: problem,
        // Whatever is wrong with the rest: the one that was spent may be good no more.
        ...(refreshToken === undefined ? {} : { refreshToken }),
        ...(observed === undefined ? {} : { observed }),
      });
    }
    if (issued.lifeMs <= capabilities.longestLifeMs) return ok(issued);
    if (!isWarned) log.warn('idp: a life was cut to the longest that can be', { source: source.name });
    isWarned = true;
    return ok({ ...issued, lifeMs: capabilities.longestLifeMs });
  };

  return {
    capabilities,
    fetch: (request) =>
      run([request.refreshToken, request.subjectToken, request.actorToken], async (implementation, call) => {
        const end = await implementation.fetch(request, call);
        return end.ok ? bounded(end.value) : end;
      }),
    revoke: (accessToken, revocationHandle) =>
      run([accessToken, revocationHandle], (implementation, call) =>
        capabilities.canRevoke && implementation.revoke !== undefined
          ? implementation.revoke(accessToken, {
              ...call,
              ...(revocationHandle === undefined ? {} : { revocationHandle }),
            })
          : Promise.resolve(ok('unsupported')),
      ),
    readSubject: (token) =>
      run(
        [token],
        (implementation, call) => implementation.readSubject?.(token, call) ?? Promise.resolve(ok(undefined)),
      ),
    async close() {
      const closing = (loading ?? Promise.resolve(undefined))
        .then((implementation) => implementation?.close?.())
        .catch((error: unknown) => {
          const detail = createDetail(options.clientId, options.secrets)(textOf(error));
          log.warn('idp: a provider could not be closed', { source: source.name, detail });
        });
      // A reload waits for it, and must not wait for ever: by then every call has ended.
      await within(clock, source.timeoutMs, closing);
    },
  };
}

/** Of a failure, what may leave: a code of the table, and no secret in its texts, not even one that a caller gave. */
function maskedFailure(
  { clientId, secrets }: GuardOptions,
  given: readonly (Redacted | undefined)[],
  failure: ProviderFailure,
): ProviderFailure {
  const known = [...secrets, ...given.filter((secret) => secret !== undefined)];
  const { retryAfterMs, ...rest } = failure;
  const isPause = retryAfterMs !== undefined && retryAfterMs >= 0;
  return {
    ...rest,
    code: CODES.has(failure.code) ? failure.code : 'IDP_PROTOCOL',
    message: createMessageMask(clientId, known)(failure.message),
    detail: createDetail(clientId, known)(failure.detail),
    ...(isPause ? { retryAfterMs: Math.min(LONGEST_PAUSE_MS, retryAfterMs) } : {}),
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
