import { request as requestInClear, type IncomingMessage } from 'node:http';
import { request as requestOverTls } from 'node:https';
import { createOperatorOver } from '@token-broker/client/operator';
import { within, type Clock } from '@token-broker/foundation';
import { failure, LIMITS, TokenBrokerError } from '@token-broker/protocol';
import { CommandFailure, usageFailure } from './command-failure.js';
import { EXIT } from './exit-codes.js';
import type { HttpSettings } from './http-settings.js';
import type { Door } from './surroundings.js';

/** Speaks to one broker, over HTTP. Connects with each request: a command makes one or two. */
export function openHttpDoor(settings: HttpSettings, clock: Clock): Door {
  const leaving = new AbortController();
  const operator = createOperatorOver({
    send: async (verb, body, extraMs) => {
      const timedOut = new AbortController();
      const signal = AbortSignal.any([leaving.signal, timedOut.signal]);
      const sent = await within(clock, settings.timeoutMs + extraMs, send(settings, verb, body, signal));
      if (sent.inTime) return sent.value;
      timedOut.abort();
      throw new TokenBrokerError(failure('DEADLINE', `the broker at ${settings.url} did not answer in time`));
    },
    close: () => undefined,
  });
  return {
    operator,
    get: () => Promise.reject(new Error('tokens are not given out over HTTP')),
    hear: () => {
      throw needsNats('events of brokers come');
    },
    mayHear: () => Promise.reject(needsNats('the permissions of NATS are looked at')),
    mayPublish: () => Promise.reject(needsNats('the permissions of NATS are looked at')),
    close() {
      leaving.abort();
      return Promise.resolve();
    },
  };
}

function send(settings: HttpSettings, verb: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const { url, token, cert, key, ca, trace } = settings;
  const request = url.startsWith('https:') ? requestOverTls : requestInClear;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      // Whoever waited has left already, and says why.
      if (!signal.aborted) reject(unreachable(settings, error));
    };
    const sending = request(
      `${url}/v1/admin/${verb}`,
      {
        method: 'POST',
        agent: false,
        signal,
        headers: {
          'content-type': 'application/json',
          'content-length': body.length,
          ...trace,
          ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
        },
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key: key.reveal() }),
        ...(ca === undefined ? {} : { ca }),
      },
      (reply) => {
        bodyOf(reply).then(resolve, fail);
      },
    );
    sending.on('error', fail);
    sending.end(body);
  });
}

async function bodyOf(reply: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LIMITS.replyBytes) throw new Error('the reply is too large');
  }
  return Buffer.concat(chunks);
}

function needsNats(what: string): CommandFailure {
  return usageFailure(`${what} over NATS alone`, 'This needs NATS: leave out --url, or name a server with --server.');
}

function unreachable({ url }: HttpSettings, error: Error): CommandFailure {
  const reason = 'code' in error ? String(error.code) : error.message;
  const isOfTls = /CERT|TLS|SSL|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(reason);
  return new CommandFailure(
    {
      code: 'HTTP_UNAVAILABLE',
      message: `cannot speak to the broker at ${url}: ${reason}`,
      remedy: isOfTls
        ? 'Check --tls-ca against the certificate of the broker, and the name in --url.'
        : 'Check --url, and that this broker runs with `http.admin`; another replica will do.',
    },
    EXIT.unavailable,
  );
}
