import type { VaultSourceConfiguration } from '@token-broker/configuration';
import type { Clock, Redacted, Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { openHttpClient, type HttpAnswer } from '../http/http-client.js';

export interface VaultRequest {
  /** What it is for, as the subject of a sentence. */
  readonly asked: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Below `/v1/`. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  /** Who asks. Absent: whoever logs in. */
  readonly token?: Redacted;
  readonly given?: readonly Redacted[];
  readonly signal: AbortSignal;
}

/** One source's way to the HTTP API of Vault. */
export interface VaultRequests {
  send(request: VaultRequest): Promise<Result<HttpAnswer, ProviderFailure>>;
  close(): Promise<void>;
}

export function openVaultRequests(
  { address, namespace, auth, ca, proxy, timeoutMs }: VaultSourceConfiguration,
  clock: Clock,
): VaultRequests {
  const secrets = auth.kind === 'approle' && auth.secretId !== undefined ? [auth.secretId] : [];
  const client = openHttpClient({ clock, timeoutMs, ca, proxy, secrets });
  const shared = {
    // Vault's own agent and proxy can be told to want it, against requests that are forged through somebody else.
    'x-vault-request': 'true',
    ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
  };
  return {
    send: ({ asked, method, path, body, token, given = [], signal }) =>
      client.request({
        asked,
        method,
        url: `${address}/v1/${path}`,
        headers: {
          ...shared,
          ...(token === undefined ? {} : { 'x-vault-token': token.reveal() }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        given: [...given, token],
        signal,
      }),
    close: () => client.close(),
  };
}
