import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSystemClock } from '@token-broker/foundation';
import { portOf } from '../port-of.js';
import { isSignedBy, keyIdOf, type KnownKeys, type SignedRequest } from './request-signature.js';

/** The region of the endpoint. */
export const STS_REGION = 'eu-central-1';

/** A user of the account: its keys are known from the start, and do not end. */
export const STS_USER: KnownKeys = { accessKeyId: 'AKIACANARY000000', secretAccessKey: 'canary/of+the/user' };

const clock = createSystemClock();

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';
const REQUEST_ID = '<RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>';
const ACCOUNT = '123456789012';

/** How the endpoint answers requests that are signed as they must be. */
export type StsBehaviour =
  /** As it should. Default life: that which was asked for. */
  | { readonly does: 'issue'; readonly lifeMs?: number }
  | { readonly does: 'deny' }
  | { readonly does: 'throttle'; readonly pauseMs: number }
  /** The connection ends in the middle of the reply. */
  | { readonly does: 'break' }
  /** It answers something that is no answer. */
  | { readonly does: 'babble' }
  | { readonly does: 'hang' };

/** Status and text of a reply. */
type Reply = readonly [status: number, text: string];

type Fields = Readonly<Record<string, string>>;

/** The Security Token Service of AWS, as far as the broker uses it. */
export interface SecurityTokenService {
  readonly url: string;
  /** Keys that it knows: those of {@link STS_USER}, and those that it issues. */
  readonly keys: Map<string, KnownKeys>;
  /** The fields of each request that was signed as it must be, the oldest first. */
  readonly asked: Fields[];
  /** All requests so far, also those that it has refused. */
  calls(): number;
  will(behaviour: StsBehaviour): void;
  /** In place of the next replies: status and text. `undefined`: the usual one, when it has resolved. */
  answer: ((fields: Fields) => Reply | undefined | Promise<undefined>) | undefined;
  /** By how much its clock is ahead of this one. */
  clockAheadMs: number;
  stop(): Promise<void>;
}

/**
 * Starts the Security Token Service on a free port of 127.0.0.1: it checks signatures (Signature Version 4) with the keys that it
 * knows, and answers in the documented XML.
 */
export async function startSecurityTokenService(): Promise<SecurityTokenService> {
  let behaviour: StsBehaviour = { does: 'issue' };
  let calls = 0;
  let issued = 0;
  const keys = new Map([[STS_USER.accessKeyId, STS_USER]]);
  /** Who the holder of a key is. */
  const names = new Map<string, string>();
  const asked: Fields[] = [];
  const nowMs = (): number => clock.wallMs() + service.clockAheadMs;

  const issue = (fields: Fields, lifeMs: number): string => {
    const number = String(++issued).padStart(4, '0');
    const made = {
      accessKeyId: `ASIACANARYKEY${number}`,
      secretAccessKey: `canary/secret+${number}`,
      sessionToken: `canary//session+${number}==`,
    };
    const end = new Date(nowMs() + lifeMs).toISOString().replace(/\.\d+Z$/, 'Z');
    keys.set(made.accessKeyId, { ...made, endsAtMs: Date.parse(end) });
    const role = fields['RoleArn']?.split('/').at(-1);
    if (role !== undefined) names.set(made.accessKeyId, `assumed-role/${role}/${fields['RoleSessionName'] ?? ''}`);
    const credentials = `<Credentials><AccessKeyId>${made.accessKeyId}</AccessKeyId><SecretAccessKey>${made.secretAccessKey}</SecretAccessKey><SessionToken>${made.sessionToken}</SessionToken><Expiration>${end}</Expiration></Credentials>`;
    return replyOf(fields['Action'] ?? '', credentials);
  };

  const identify = (request: SignedRequest): string => {
    const name = names.get(keyIdOf(request) ?? '') ?? 'user/token-broker';
    const arn = `arn:aws:${name.startsWith('user/') ? 'iam' : 'sts'}::${ACCOUNT}:${name}`;
    return replyOf('GetCallerIdentity', `<Arn>${arn}</Arn><UserId>AROACANARY</UserId><Account>${ACCOUNT}</Account>`);
  };

  const judge = async (request: SignedRequest, fields: Fields): Promise<Reply | undefined> => {
    if (fields['Action'] === 'AssumeRoleWithWebIdentity') return undefined;
    const known = keys.get(keyIdOf(request) ?? '');
    if (known === undefined || known.sessionToken !== request.headers['x-amz-security-token'])
      return refuse(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.');
    if (known.endsAtMs !== undefined && known.endsAtMs <= nowMs())
      return refuse(403, 'ExpiredToken', 'The security token included in the request is expired');
    if (await isSignedBy(request, known, { region: STS_REGION, service: 'sts' })) return undefined;
    return refuse(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match.');
  };

  const usual = (request: SignedRequest, fields: Fields): Reply => {
    const asksFor = Number(fields['DurationSeconds']) * 1_000;
    switch (behaviour.does) {
      case 'issue':
        return fields['Action'] === 'GetCallerIdentity'
          ? [200, identify(request)]
          : [200, issue(fields, behaviour.lifeMs ?? asksFor)];
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

  const reply = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const fields = Object.fromEntries(new URLSearchParams(body));
    const request = { method: incoming.method ?? '', path: incoming.url ?? '', headers, body };
    calls++;
    const refusal = await judge(request, fields);
    if (refusal === undefined) asked.push(fields);
    const [status, text] = refusal ?? (await service.answer?.(fields)) ?? usual(request, fields);
    if (behaviour.does === 'hang') return;
    const pause = behaviour.does === 'throttle' ? { 'retry-after': String(behaviour.pauseMs / 1_000) } : {};
    response.writeHead(status, {
      'content-type': 'text/xml',
      'content-length': Buffer.byteLength(text),
      date: new Date(nowMs()).toUTCString(),
      ...pause,
    });
    if (behaviour.does !== 'break') {
      response.end(text);
      return;
    }
    response.write(text.slice(0, 100), () => response.socket?.resetAndDestroy());
  };

  const server = createServer((incoming, response) => {
    reply(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const service: SecurityTokenService = {
    url: `http://127.0.0.1:${String(portOf(server))}`,
    keys,
    asked,
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
    answer: undefined,
    clockAheadMs: 0,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return service;
}

function replyOf(action: string, result: string): string {
  return `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result><ResponseMetadata>${REQUEST_ID}</ResponseMetadata></${action}Response>`;
}

function refuse(status: number, code: string, message: string): Reply {
  return [
    status,
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>${REQUEST_ID}</ErrorResponse>`,
  ];
}
