import { decode, encode, getReplySchema, LIMITS, type TokenReply } from '@token-broker/protocol';
import type { NatsConnection } from 'nats';

/** Asks as a client without a near cache would: every call is a request, and any replica may answer. */
export async function ask(
  connection: NatsConnection,
  caller: string,
  source: string,
  body?: object,
): Promise<TokenReply> {
  const payload = body === undefined ? new Uint8Array() : encode(body);
  const reply = await connection.request(`token-broker.v1.get.${caller}.${source}`, payload, { timeout: 20_000 });
  const decoded = decode(getReplySchema, reply.data, LIMITS.replyBytes);
  if (!decoded.ok) throw new Error(decoded.error);
  if ('error' in decoded.value) throw new Error(`${decoded.value.error.code}: ${decoded.value.error.message}`);
  return decoded.value;
}
