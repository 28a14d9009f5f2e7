import { Agent } from 'node:https';
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetSessionTokenCommand,
  STSClient,
  type Credentials,
} from '@aws-sdk/client-sts';
import { err, ok, type Clock, type Result } from '@token-broker/foundation';
import type { AwsStsOperation, AwsStsSourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, Lender, ProviderFailure, ProviderImplementation } from '../../../app/ports/provider.js';
import { signingCredentials, type SigningCredentials } from '../aws-access.js';
import { AWS_CREDENTIALS, writeAwsCredentials } from '../aws-credentials.js';
import { parseHttpDate } from '../retry-after.js';
import { readTokenFile } from '../token-file.js';
import { failureOfAws } from './aws-failure.js';

/** What the `Date` of a reply is exact to. */
const SECOND_MS = 1_000;
/** A token of a web identity is no longer than this (AWS). */
const MAX_TOKEN_CHARACTERS = 20_000;

export interface AwsStsPorts {
  readonly clock: Clock;
  readonly lend: Lender;
}

/** What came back, beside what the SDK makes of it: when the far side has written it, and whether it was a success. */
interface Heard {
  headers: Headers;
  status: number | undefined;
}

/** Temporary credentials of AWS by its own SDK, with one request for each. */
export function createAwsStsProvider(source: AwsStsSourceConfiguration, ports: AwsStsPorts): ProviderImplementation {
  const { operation, region, endpoint, ca, timeoutMs, sessionDurationMs } = source;
  const { clock, lend } = ports;
  // Said once by the SDK, on each start of a runtime that this project supports.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const agent = new Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) });
  // Its connections are shared by all calls; credentials belong to one.
  const { requestHandler } = new STSClient({
    region,
    requestHandler: { httpsAgent: agent, connectionTimeout: timeoutMs },
  }).config;

  const clientOf = (credentials: SigningCredentials | undefined, heard: Heard): STSClient => {
    const client = new STSClient({
      region,
      requestHandler,
      // A second try is the broker's to decide.
      maxAttempts: 1,
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials: partsOf(credentials) }),
    });
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { response } = result;
        if (isResponse(response)) {
          heard.headers = new Headers(response.headers);
          heard.status = response.statusCode;
        }
        return result;
      },
      { step: 'deserialize', priority: 'low', name: 'token-broker-hears' },
    );
    return client;
  };

  return {
    fetch: async (_request, { signal }): Promise<Result<IssuedToken, ProviderFailure>> => {
      const proof = await proofOf(operation, lend);
      if (!proof.ok) return proof;
      const heard: Heard = { headers: new Headers(), status: undefined };
      const client = clientOf(proof.value.signing, heard);
      let credentials: Credentials | undefined;
      try {
        credentials = await ask(client, operation, proof.value.webIdentity, sessionDurationMs / 1_000, signal);
      } catch (error) {
        return err(failureOfAws(error, { ...heard, wallMs: clock.wallMs() }));
      }
      // By the clock of who has stated the end, as if the second that its header names were over: no life is longer than it is.
      const secondMs = parseHttpDate(heard.headers.get('date'));
      const nowMs = secondMs === undefined ? clock.wallMs() : secondMs + SECOND_MS;
      return readCredentials(credentials, nowMs, sessionDurationMs);
    },
    close() {
      requestHandler.destroy?.();
      agent.destroy();
      return Promise.resolve();
    },
  };
}

interface Proof {
  readonly signing?: SigningCredentials;
  readonly webIdentity?: string;
}

/** What the call proves itself with: read, or lent, for this one. */
async function proofOf(operation: AwsStsOperation, lend: Lender): Promise<Result<Proof, ProviderFailure>> {
  if (operation.kind !== 'assume-role-with-web-identity') {
    const signing = await signingCredentials(operation.access, lend);
    return signing.ok ? ok({ signing: signing.value }) : signing;
  }
  const token = await readTokenFile({
    file: operation.tokenFile,
    what: 'the web identity token',
    maxCharacters: MAX_TOKEN_CHARACTERS,
  });
  return token.ok ? ok({ webIdentity: token.value.reveal() }) : token;
}

async function ask(
  client: STSClient,
  operation: AwsStsOperation,
  webIdentity: string | undefined,
  seconds: number,
  abortSignal: AbortSignal,
): Promise<Credentials | undefined> {
  const options = { abortSignal };
  const DurationSeconds = Math.floor(seconds);
  if (operation.kind === 'get-session-token')
    return (await client.send(new GetSessionTokenCommand({ DurationSeconds }), options)).Credentials;
  const { roleArn, sessionName, policy, policyArns } = operation;
  const session = {
    DurationSeconds,
    RoleArn: roleArn,
    RoleSessionName: sessionName,
    ...(policy === undefined ? {} : { Policy: policy }),
    ...(policyArns.length === 0 ? {} : { PolicyArns: policyArns.map((arn) => ({ arn })) }),
  };
  if (operation.kind === 'assume-role-with-web-identity') {
    const command = new AssumeRoleWithWebIdentityCommand({ ...session, WebIdentityToken: webIdentity });
    return (await client.send(command, options)).Credentials;
  }
  const { externalId, tags, transitiveTagKeys } = operation;
  const command = new AssumeRoleCommand({
    ...session,
    ...(externalId === undefined ? {} : { ExternalId: externalId }),
    ...(tags.size === 0 ? {} : { Tags: [...tags].map(([Key, Value]) => ({ Key, Value })) }),
    ...(transitiveTagKeys.length === 0 ? {} : { TransitiveTagKeys: [...transitiveTagKeys] }),
  });
  return (await client.send(command, options)).Credentials;
}

function readCredentials(
  credentials: Credentials | undefined,
  nowMs: number,
  longestMs: number,
): Result<IssuedToken, ProviderFailure> {
  const refuse = (problem: string): Result<never, ProviderFailure> =>
    err({ code: 'IDP_PROTOCOL', message: `the reply of AWS is refused: ${problem}`, detail: problem });
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = credentials ?? {};
  if (!isPart(AccessKeyId) || !isPart(SecretAccessKey) || !isPart(SessionToken))
    return refuse('it holds no credentials');
  const endsAtMs = Expiration?.getTime() ?? Number.NaN;
  if (!Number.isFinite(endsAtMs)) return refuse('it states no end');
  const lifeMs = Math.min(longestMs, endsAtMs - nowMs);
  if (lifeMs <= 0) return refuse('what it holds has ended already');
  const parts = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  return ok({ accessToken: writeAwsCredentials(parts), tokenType: AWS_CREDENTIALS, lifeMs });
}

function isPart(value: string | undefined): value is string {
  return value !== undefined && /^[\x21-\x7e]+$/.test(value);
}

/** Without what the SDK does not know: it takes fields that it finds for its own. */
function partsOf({ accessKeyId, secretAccessKey, sessionToken }: SigningCredentials): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function isResponse(value: unknown): value is { statusCode: number; headers: Record<string, string> } {
  return typeof value === 'object' && value !== null && 'statusCode' in value && 'headers' in value;
}
