import type { VaultSourceConfiguration } from '@token-broker/configuration';
import { err, ok, type Clock, type Redacted, type Result } from '@token-broker/foundation';
import type { IssuedToken, ProviderFailure, ProviderImplementation } from '../../../app/ports/provider.js';
import type { Log } from '../../../app/ports/telemetry.js';
import { failureOfVault } from './vault-failure.js';
import { readHandle, writeHandle, type VaultHandle } from './vault-handle.js';
import { logIn, type LoginToken } from './vault-login.js';
import { openVaultRequests, type VaultRequest } from './vault-requests.js';
import { readSecret, type VaultSecret } from './vault-secret.js';

/** What Vault says of a token that it does not know, or knows no more. */
const UNKNOWN_TOKEN = /\b(invalid|bad) token\b/i;

export interface VaultPorts {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Dynamic secrets and tokens of HashiCorp Vault or OpenBao. Each has a login of its own, since what is issued there ends with
 * the token that it was asked for with: so that token is kept for as long as the secret, in the handle that takes it back,
 * and never renewed. Where nothing hangs on it, it is given back at once; so it is where something went wrong, and with it what
 * may have been issued.
 */
export function createVaultProvider(
  source: VaultSourceConfiguration,
  { clock, log }: VaultPorts,
): ProviderImplementation {
  const { auth, path, body, credential, timeoutMs } = source;
  const requests = openVaultRequests(source, clock);
  const running = new Set<Promise<unknown>>();
  let isWarned = false;
  // A token is never read, and to write nothing is to ask for one as it comes.
  const written = body ?? (credential.kind === 'vault-token' ? {} : undefined);
  const wish: Pick<VaultRequest, 'method' | 'body'> =
    written === undefined ? { method: 'GET' } : { method: 'POST', body: written };

  /** Nobody waits for it: what fails here ends by itself when the token does. */
  const giveBack = ({ token, isBatch }: LoginToken): void => {
    if (isBatch) return;
    const aborter = new AbortController();
    const timer = clock.startTimer(timeoutMs, () => {
      aborter.abort();
    });
    const given = requests.send({ ...revokingSelf(token), signal: aborter.signal }).finally(() => {
      timer.cancel();
      running.delete(given);
    });
    running.add(given);
  };

  const warnOf = (login: LoginToken, { lifeMs }: VaultSecret): void => {
    if (isWarned || login.lifeMs === undefined || login.lifeMs >= lifeMs) return;
    isWarned = true;
    const seconds = { login: login.lifeMs / 1_000, lease: lifeMs / 1_000 };
    log.warn('vault: the login token ends before what was asked for with it, and ends it', {
      source: source.name,
      ...seconds,
    });
  };

  const issuedOf = (login: LoginToken, secret: VaultSecret): IssuedToken => {
    const { accessToken, tokenType, username, leaseId } = secret;
    const content = { accessToken, tokenType, ...(username === undefined ? {} : { username }) };
    // A token is its own handle; for all else there is none.
    if (!secret.hangsOnLogin) return { ...content, lifeMs: secret.lifeMs };
    warnOf(login, secret);
    const handle: VaultHandle = {
      token: login.token,
      ...(login.isBatch && leaseId !== undefined ? { leaseId } : {}),
    };
    const lifeMs = Math.min(secret.lifeMs, login.lifeMs ?? Number.POSITIVE_INFINITY);
    return { ...content, lifeMs, revocationHandle: writeHandle(handle) };
  };

  const ask = async (login: LoginToken, signal: AbortSignal): Promise<Result<VaultSecret, ProviderFailure>> => {
    const { token } = login;
    const answer = await requests.send({ asked: 'the request for the secret', ...wish, path, token, signal });
    if (!answer.ok) return answer;
    const { reply, context } = answer.value;
    return reply.status === 200 ? readSecret(credential, answer.value) : err(failureOfVault(reply, context, 'secret'));
  };

  return {
    fetch: async (_request, { signal }) => {
      const login = await logIn(auth, requests, signal);
      if (!login.ok) return login;
      const secret = await ask(login.value, signal);
      if (!secret.ok || !secret.value.hangsOnLogin) giveBack(login.value);
      return secret.ok ? ok(issuedOf(login.value, secret.value)) : secret;
    },

    async revoke(accessToken, { signal, revocationHandle }) {
      const handle = handleOf(credential.kind, accessToken, revocationHandle);
      if (handle === undefined) return ok('unsupported');
      const { token, leaseId } = handle;
      const request =
        leaseId === undefined
          ? revokingSelf(token)
          : {
              ...REVOCATION,
              method: 'PUT' as const,
              path: 'sys/leases/revoke',
              body: { lease_id: leaseId, sync: true },
              token,
            };
      const answer = await requests.send({ ...request, given: [accessToken], signal });
      if (!answer.ok) return answer;
      const { reply, context } = answer.value;
      if (reply.status === 200 || reply.status === 204) return ok('revoked');
      // What hung on it has ended with it.
      if (reply.status === 403 && UNKNOWN_TOKEN.test(reply.text)) return ok('revoked');
      return err(failureOfVault(reply, context, 'revocation'));
    },

    async close() {
      while (running.size > 0) await Promise.allSettled(running);
      await requests.close();
    },
  };
}

const REVOCATION = { asked: 'the revocation' };

function revokingSelf(token: Redacted): Omit<VaultRequest, 'signal'> {
  return { ...REVOCATION, method: 'POST', path: 'auth/token/revoke-self', token };
}

/** A token of Vault that came without a handle hangs on nothing: it takes itself back. */
function handleOf(
  kind: VaultSourceConfiguration['credential']['kind'],
  accessToken: Redacted,
  handle: Redacted | undefined,
): VaultHandle | undefined {
  if (handle !== undefined) return readHandle(handle);
  return kind === 'vault-token' ? { token: accessToken } : undefined;
}
