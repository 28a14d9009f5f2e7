import type { ProviderFailure } from '../../../app/ports/provider.js';
import type { Exchange } from '../http/exchange.js';
import { notNow, saidIn, throttled, type FailureContext } from '../http/http-failure.js';
import { parseObject } from '../http/json-object.js';
import { parseObservedLimit } from '../http/observed-limit.js';

/** GitHub asks for at least this pause where a reply names none. */
const LEAST_PAUSE_MS = 60_000;

const SECONDARY_LIMIT = /secondary rate limit|abuse detection/i;

/** What it means that GitHub did not do what it was asked for. */
export function failureOfGitHub(reply: Exchange, context: FailureContext): ProviderFailure {
  const { status } = reply;
  const message = parseObject(reply.text)?.['message'];
  const said = saidIn(reply, 'GitHub refuses', context);
  const observed = parseObservedLimit(reply.headers, context.wallMs);
  const seen = observed === undefined ? {} : { observed };
  const text = typeof message === 'string' ? message : undefined;
  if (isThrottle(reply, text)) {
    const failure = throttled(reply, said, context.wallMs);
    const spentMs = observed?.remaining === 0 ? observed.resetMs : LEAST_PAUSE_MS;
    return { ...failure, retryAfterMs: failure.retryAfterMs ?? spentMs, ...seen };
  }
  const later = notNow(reply, said, context);
  if (later !== undefined) return later;
  if (status === 401)
    return {
      ...{ code: 'IDP_DENIED', refused: 'credential', detail: said },
      message: 'GitHub refused the assertion of the app: its id, its key, or the clock of the broker',
      ...seen,
    };
  if (status !== 403 && (status < 400 || text === undefined))
    return { code: 'IDP_PROTOCOL', message: `the reply is not one of GitHub (status ${String(status)})`, detail: said };
  return { code: 'IDP_DENIED', message: `GitHub refused: ${reasonOf(status)}`, detail: said, ...seen };
}

/** Told from a denial of the same status by its headers, or by what it says. */
function isThrottle({ status, headers }: Exchange, message: string | undefined): boolean {
  if (status === 429) return true;
  if (status !== 403) return false;
  const isSpent = headers.get('x-ratelimit-remaining')?.trim() === '0';
  return isSpent || headers.has('retry-after') || SECONDARY_LIMIT.test(message ?? '');
}

function reasonOf(status: number): string {
  switch (status) {
    case 403:
      return 'the installation is suspended, or the app may not';
    case 404:
      return 'there is no such installation of this app';
    case 422:
      return 'the installation has no such repositories or permissions';
    default:
      return `status ${String(status)}`;
  }
}
