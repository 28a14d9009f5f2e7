import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSystemClock } from '@token-broker/foundation';
import { onTestFinished } from 'vitest';
import { isSignedBy, keyIdOf, type KnownKeys, type SignedRequest } from './aws-signature.js';
import type { Behaviour } from './contract/provider-contract.js';

/** The region of the endpoint. */
export const REGION = 'eu-central-1';

const clock = createSystemClock();

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';

export interface StsEndpoint {
  readonly url: string;
  /** Keys that it knows; those that it issues are added. */
  readonly keys: Map<string, KnownKeys>;
  /** The fields of each request that was signed as it must be, the oldest first. */
  readonly asked: Readonly<Record<string, string>>[];
  calls(): number;
  will(behaviour: Behaviour): void;
  /** In place of the next replies: status and text. */
  answer: ((fields: Readonly<Record<string, string>>) => readonly [number, string] | undefined) | undefined;
  /** By how much its clock is ahead of this one. */
  clockAheadMs: number;
}

/**
 * The Security Token Service on a free port: it checks signatures (Signature Version 4) with the keys that it knows, and answers in
 * the documented XML.
 */
export async function startSts(): Promise<StsEndpoint> {
  let behaviour: Behaviour = { does: 'issue' };
  let calls = 0;
  let issued = 0;
  const keys = new Map<string, KnownKeys>();
  const asked: Readonly<Record<string, string>>[] = [];

  const issue = (fields: Readonly<Record<string, string>>, lifeMs: number): string => {
    const action = fields['Action'] ?? '';
    const number = String(++issued).padStart(4, '0');
    const made = {
      accessKeyId: `ASIACANARYKEY${number}`,
      secretAccessKey: `canary/secret+${number}`,
      sessionToken: `canary//session+${number}==`,
    };
    keys.set(made.accessKeyId, made);
    const end = new Date(clock.wallMs() + endpoint.clockAheadMs + lifeMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const credentials = `<Credentials><AccessKeyId>${made.accessKeyId}</AccessKeyId><SecretAccessKey>${made.secretAccessKey}</SecretAccessKey><SessionToken>${made.sessionToken}</SessionToken><Expiration>${end}</Expiration></Credentials>`;
    return `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${credentials}</${action}Result><ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata></${action}Response>`;
  };

  const refuse = (status: number, code: string, message: string): readonly [number, string] => [
    status,
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>`,
  ];

  const judge = async (request: SignedRequest, fields: Readonly<Record<string, string>>) => {
    if (fields['Action'] === 'AssumeRoleWithWebIdentity') return undefined;
    const known = keys.get(keyIdOf(request) ?? '');
    if (known === undefined)
      return refuse(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.');
    if (known.sessionToken !== request.headers['x-amz-security-token'])
      return refuse(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.');
    if (await isSignedBy(request, known, { region: REGION, service: 'sts' })) return undefined;
    return refuse(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match.');
  };

  const reply = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const fields = Object.fromEntries(new URLSearchParams(body));
    calls++;
    const refusal = await judge({ method: incoming.method ?? '', path: incoming.url ?? '', headers, body }, fields);
    if (refusal === undefined) asked.push(fields);
    const [status, text] = refusal ?? endpoint.answer?.(fields) ?? usual(fields);
    if (behaviour.does === 'hang') return;
    const pause = behaviour.does === 'throttle' ? { 'retry-after': String(behaviour.pauseMs / 1_000) } : {};
    response.writeHead(status, {
      'content-type': 'text/xml',
      'content-length': Buffer.byteLength(text),
      date: new Date(clock.wallMs() + endpoint.clockAheadMs).toUTCString(),
      ...pause,
    });
    if (behaviour.does !== 'break') {
      response.end(text);
      return;
    }
    response.write(text.slice(0, 100), () => response.socket?.resetAndDestroy());
  };

  const usual = (fields: Readonly<Record<string, string>>): readonly [number, string] => {
    const asksFor = Number(fields['DurationSeconds']) * 1_000;
    switch (behaviour.does) {
      case 'issue':
        return [200, issue(fields, behaviour.lifeMs ?? asksFor)];
      case 'deny':
        return refuse(403, 'AccessDenied', `User is not authorized to perform: sts:${fields['Action'] ?? ''}`);
      case 'throttle':
        // Also AWS does so with this status.
        return refuse(400, 'Throttling', 'Rate exceeded');
      case 'babble':
        return [200, '<html><p>Welcome to the network of this hotel</html>'];
      case 'break':
      case 'hang':
        return [200, issue(fields, asksFor)];
    }
  };

  const server = createServer((incoming, response) => {
    reply(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const endpoint: StsEndpoint = {
    url: `http://127.0.0.1:${String(port)}`,
    keys,
    asked,
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
    answer: undefined,
    clockAheadMs: 0,
  };
  return endpoint;
}
