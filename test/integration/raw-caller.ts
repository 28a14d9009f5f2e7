import {
  createSubjects,
  decode,
  failureReplySchema,
  getReplySchema,
  LIMITS,
  tokenReplySchema,
  type Failure,
  type GetReply,
  type TokenReply,
} from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';

export const subjects = createSubjects();

/** A caller that puts its own bytes on the wire, and counts what comes back. */
export interface RawCaller {
  /** Sends a request with a reply subject in the caller's inbox; resolves with the first reply. */
  ask(subject: string, body?: Uint8Array | string): Promise<Uint8Array>;
  /** The token or the error that the broker answers with. */
  answer(subject: string, body?: Uint8Array | string): Promise<GetReply>;
  /** The error that the broker answers with. */
  refusal(subject: string, body?: Uint8Array | string): Promise<Failure>;
  /** The token that the broker answers with. */
  token(subject: string, body?: Uint8Array | string): Promise<TokenReply>;
  /** Replies that came beyond one for each request. */
  surplus(): number;
}

export function createRawCaller(connection: NatsConnection, caller: string): RawCaller {
  const inbox = `_INBOX.${caller}.raw.`;
  const replies = new Map<string, Uint8Array[]>();
  let requests = 0;
  connection.subscribe(`${inbox}*`, {
    callback: (_error, { subject, data }) => replies.set(subject, [...(replies.get(subject) ?? []), data]),
  });
  const raw: RawCaller = {
    async ask(subject, body = '') {
      requests += 1;
      const reply = `${inbox}${String(requests)}`;
      connection.publish(subject, body, { reply });
      return eventually(() => replies.get(reply)?.[0], { what: `a reply on ${subject}`, everyMs: 2, withinMs: 15_000 });
    },
    async answer(subject, body) {
      const reply = decode(getReplySchema, await raw.ask(subject, body), LIMITS.replyBytes);
      if (!reply.ok) throw new Error(reply.error);
      return reply.value;
    },
    async refusal(subject, body) {
      const data = await raw.ask(subject, body);
      const reply = decode(failureReplySchema, data, LIMITS.replyBytes);
      if (!reply.ok) throw new Error(`no error, but: ${Buffer.from(data).toString().slice(0, 200)}`);
      const { code, message, retryAfterMs } = reply.value.error;
      return { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    },
    async token(subject, body) {
      const data = await raw.ask(subject, body);
      const reply = decode(tokenReplySchema, data, LIMITS.replyBytes);
      if (!reply.ok) throw new Error(`no token, but: ${Buffer.from(data).toString().slice(0, 200)}`);
      return reply.value;
    },
    surplus: () => [...replies.values()].reduce((sum, all) => sum + all.length - 1, 0),
  };
  return raw;
}
