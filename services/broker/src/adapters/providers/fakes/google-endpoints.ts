import type { GoogleWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import { createSystemClock } from '@token-broker/foundation';
import type { ScriptedReply, ScriptedRequest } from '@token-broker/testing';
import type { Behaviour } from './contract/provider-contract.js';
import { startScript } from './oauth2-bed.js';
import {
  startWorkloadIssuer,
  SUBJECT,
  verifyWorkload,
  type Objection,
  type WorkloadIssuer,
} from './workload-issuer.js';

const POOL_PROVIDER =
  'iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/main';
/** The audience of an exchange, and what a token of the workload has for its own. */
export const AUDIENCE = `//${POOL_PROVIDER}`;
const TOKEN_AUDIENCE = `https://${POOL_PROVIDER}`;
export const ACCOUNT = 'warehouse@example-project.iam.gserviceaccount.com';
export const DELEGATE = 'between@example-project.iam.gserviceaccount.com';
export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

const LIFE_SECONDS = 3_599;
/** Without a policy of the organisation. */
const LONGEST_SECONDS = 3_600;
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const clock = createSystemClock();

type Service = 'sts' | 'iam';

export interface GoogleEndpoints {
  readonly url: string;
  readonly workload: WorkloadIssuer;
  /** Requests so far, the oldest first. */
  asked(service: Service): readonly ScriptedRequest[];
  /** How a service answers from now on what it finds nothing wrong with. */
  will(service: Service, behaviour: Behaviour): void;
  /** In place of the replies from now on. */
  answer: ((service: Service, request: ScriptedRequest) => ScriptedReply | undefined) | undefined;
  /** By how much its clock is ahead of this one. */
  clockAheadMs: number;
}

/** The Security Token Service and the Service Account Credentials API of Google, for one pool and one account, on a free port. */
export async function startGoogle(): Promise<GoogleEndpoints> {
  const workload = startWorkloadIssuer(TOKEN_AUDIENCE);
  const behaviours: Record<Service, Behaviour> = { sts: { does: 'issue' }, iam: { does: 'issue' } };
  /** Tokens of the pool, with their scope. */
  const federated = new Map<string, string>();
  let issued = 0;
  const serviceOf = ({ path }: ScriptedRequest): Service => (path.startsWith('/v1/token') ? 'sts' : 'iam');
  const nowMs = (): number => clock.wallMs() + endpoints.clockAheadMs;

  const issue = (service: Service, request: ScriptedRequest, lifeMs: number | undefined): object => {
    const token = `canary-of-google-${service}-${String(++issued)}`;
    if (service === 'sts') {
      federated.set(token, request.form['scope'] ?? '');
      const seconds = lifeMs === undefined ? LIFE_SECONDS : lifeMs / 1_000;
      return { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: seconds };
    }
    const { lifetime } = bodyOf(request);
    const endsAtMs = nowMs() + (lifeMs ?? Number(lifetime?.replace('s', '')) * 1_000);
    return { accessToken: token, expireTime: new Date(endsAtMs).toISOString().replace(/\.\d+Z$/, 'Z') };
  };

  const usual = (service: Service, request: ScriptedRequest): ScriptedReply => {
    const behaviour = behaviours[service];
    switch (behaviour.does) {
      case 'issue':
        return { body: issue(service, request, behaviour.lifeMs) };
      case 'deny':
        return service === 'sts'
          ? stsError('unauthorized_client', 'The given credential is rejected by the attribute condition.')
          : apiError(403, 'PERMISSION_DENIED', "Permission 'iam.serviceAccounts.getAccessToken' denied on resource.");
      case 'throttle': {
        const pause = { 'retry-after': String(behaviour.pauseMs / 1_000) };
        return { ...apiError(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded for quota metric.'), headers: pause };
      }
      case 'break':
        return { body: issue(service, request, undefined), fault: 'reset-mid-body' };
      case 'babble':
        return { body: { ...issue(service, request, undefined), expires_in: 'soon', expireTime: 'soon' } };
      case 'hang':
        return { fault: 'hang' };
    }
  };

  const server = await startScript(async (request) => {
    const service = serviceOf(request);
    const refusal = service === 'sts' ? await judgeExchange(request) : judgeImpersonation(request, federated);
    const reply = refusal ?? endpoints.answer?.(service, request) ?? usual(service, request);
    return { ...reply, headers: { date: new Date(nowMs()).toUTCString(), ...reply.headers } };
  });
  const endpoints: GoogleEndpoints = {
    url: server.issuer,
    workload,
    asked: (service) => server.requests.filter((request) => serviceOf(request) === service),
    will: (service, behaviour) => {
      behaviours[service] = behaviour;
    },
    answer: undefined,
    clockAheadMs: 0,
  };
  return endpoints;
}

export function stsError(error: string, text: string): ScriptedReply {
  return { status: 400, body: { error, error_description: text } };
}

/** An error of Google's APIs (AIP-193). */
export function apiError(
  code: number,
  status: string,
  message: string,
  details: readonly object[] = [],
): ScriptedReply {
  return { status: code, body: { error: { code, message, status, details } } };
}

export interface ImpersonationBody {
  readonly scope?: readonly string[];
  readonly lifetime?: string;
  readonly delegates?: readonly string[];
}

export function bodyOf({ text }: ScriptedRequest): ImpersonationBody {
  return JSON.parse(text) as ImpersonationBody;
}

const OBJECTIONS: Readonly<Record<Objection, string>> = {
  signature: 'Error verifying the signature of the ID token.',
  expired: 'ID Token issued at 0 is stale to sign-in.',
  issuer: 'The issuer in ID Token does not match the expected ones.',
  subject: 'The mapped attribute google.subject is empty.',
  audience: 'The audience in ID Token does not match the expected audience.',
};

async function judgeExchange({ method, path, headers, form }: ScriptedRequest): Promise<ScriptedReply | undefined> {
  if (method !== 'POST' || path !== '/v1/token' || headers.authorization !== undefined) return { status: 404 };
  if (headers['content-type'] !== 'application/x-www-form-urlencoded')
    return stsError('invalid_request', 'Unsupported content type.');
  if (form['grant_type'] !== 'urn:ietf:params:oauth:grant-type:token-exchange')
    return stsError('unsupported_grant_type', 'Invalid value for "grant_type".');
  if (form['audience'] !== AUDIENCE)
    return stsError('invalid_target', 'The target service indicated by the "audience" parameters is invalid.');
  if (form['requested_token_type'] !== ACCESS_TOKEN || form['scope'] === undefined || form['scope'] === '')
    return stsError('invalid_request', 'Invalid value for "requested_token_type" or "scope".');
  if (form['subject_token_type'] !== 'urn:ietf:params:oauth:token-type:jwt')
    return stsError('invalid_request', 'Invalid value for "subject_token_type".');
  const verdict = await verifyWorkload(form['subject_token'] ?? '', { audiences: [AUDIENCE, TOKEN_AUDIENCE] });
  if (typeof verdict === 'string') return stsError('invalid_grant', OBJECTIONS[verdict]);
  return verdict.sub === SUBJECT
    ? undefined
    : stsError('unauthorized_client', 'The given credential is rejected by the attribute condition.');
}

function judgeImpersonation(
  request: ScriptedRequest,
  federated: ReadonlyMap<string, string>,
): ScriptedReply | undefined {
  const [, account] = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(request.path) ?? [];
  if (request.method !== 'POST' || account === undefined) return { status: 404 };
  const scope = federated.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
  if (scope === undefined) return apiError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
  if (!scope.split(' ').includes(CLOUD_PLATFORM))
    return apiError(403, 'PERMISSION_DENIED', 'Request had insufficient authentication scopes.');
  if (decodeURIComponent(account) !== ACCOUNT)
    return apiError(404, 'NOT_FOUND', 'Not found; Gaia id not found for email.');
  const { scope: scopes = [], lifetime = '', delegates = [] } = bodyOf(request);
  const [, seconds] = /^(\d+)s$/.exec(lifetime) ?? [];
  if (scopes.length === 0 || seconds === undefined || Number(seconds) > LONGEST_SECONDS)
    return apiError(400, 'INVALID_ARGUMENT', 'The token lifetime exceeds the maximum allowed.');
  return delegates.every((delegate) => delegate === `projects/-/serviceAccounts/${DELEGATE}`)
    ? undefined
    : apiError(403, 'PERMISSION_DENIED', "Permission 'iam.serviceAccounts.getAccessToken' denied on a delegate.");
}

export function googleSource(
  { url, workload }: GoogleEndpoints,
  change: Partial<GoogleWorkloadIdentitySourceConfiguration> = {},
): GoogleWorkloadIdentitySourceConfiguration {
  return {
    name: 'orders-warehouse',
    provider: 'google-workload-identity',
    workloadIdentityProvider: AUDIENCE,
    subject: { kind: 'file', file: workload.file },
    subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
    scopes: [CLOUD_PLATFORM],
    stsEndpoint: `${url}/v1/token`,
    iamCredentialsEndpoint: url,
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}

/** The account, for an hour. */
export const IMPERSONATION = { serviceAccount: ACCOUNT, delegates: [], lifetimeMs: 3_600_000 };
