import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { AdminDoorConfiguration } from '@token-broker/configuration';

/**
 * The caller that a request's credentials stand for: its bearer token, else its client certificate. A token that is wrong
 * is not made good by a certificate. `undefined`: nobody.
 */
export function callerOf(
  request: IncomingMessage,
  { tokens, certificates }: AdminDoorConfiguration,
): string | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return callerOfCertificate(request, certificates);
  const [, token] = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization) ?? [];
  return token === undefined ? undefined : callerOfToken(token, tokens);
}

/** Hashes are compared, all of them and to their ends: time tells nothing of how near a guess was. */
function callerOfToken(token: string, known: AdminDoorConfiguration['tokens']): string | undefined {
  const shown = createHash('sha256').update(token).digest();
  const fitting = known.filter(({ sha256 }) => timingSafeEqual(Buffer.from(sha256, 'hex'), shown));
  return fitting[0]?.caller;
}

function callerOfCertificate(
  { socket }: IncomingMessage,
  known: AdminDoorConfiguration['certificates'],
): string | undefined {
  // Whoever signed it decides: a certificate of somebody else is as good as none.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  const isNamed = (name: string): boolean =>
    certificate?.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
  return known.find(({ name }) => isNamed(name))?.caller;
}
