import type { AzureWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
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

const TENANT_ID = '8f2a1b3c-0000-4000-8000-0123456789ab';
export const CLIENT_ID = '11111111-2222-4333-8444-555555555555';
export const VAULT_SCOPE = 'https://vault.azure.net/.default';
/** What federated credentials of Microsoft Entra ID want as the audience. */
const TOKEN_EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange';

const LIFE_SECONDS = 3_599;
const clock = createSystemClock();

export interface EntraEndpoint {
  readonly url: string;
  readonly workload: WorkloadIssuer;
  /** The fields of each request, the oldest first. */
  asked(): readonly Readonly<Record<string, string>>[];
  calls(): number;
  will(behaviour: Behaviour): void;
  /** In place of the replies from now on. */
  answer: ((request: ScriptedRequest) => ScriptedReply | undefined | Promise<undefined>) | undefined;
}

/** The token endpoint of Microsoft Entra ID for one application of one tenant, on a free port. */
export async function startEntra(): Promise<EntraEndpoint> {
  let behaviour: Behaviour = { does: 'issue' };
  let issued = 0;
  const workload = startWorkloadIssuer(TOKEN_EXCHANGE_AUDIENCE);
  const server = await startScript(async (request) => {
    const refusal = await judge(request);
    return refusal ?? (await endpoint.answer?.(request)) ?? usual(behaviour, ++issued);
  });
  const endpoint: EntraEndpoint = {
    url: server.issuer,
    workload,
    asked: () => server.requests.map(({ form }) => form),
    calls: () => server.requests.length,
    will: (next) => {
      behaviour = next;
    },
    answer: undefined,
  };
  return endpoint;
}

/** As Microsoft documents errors: number and text in the description, and the numbers by themselves. */
export function entraError(status: number, error: string, number: number, text: string): ScriptedReply {
  const timestamp = new Date(clock.wallMs())
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  const [trace, correlation] = ['255d1aef-8c98-452f-ac51-23d051240864', 'fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7'];
  const description = `AADSTS${String(number)}: ${text} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`;
  const body = { error, error_description: description, error_codes: [number], timestamp };
  return { status, body: { ...body, trace_id: trace, correlation_id: correlation } };
}

const OBJECTIONS: Readonly<Record<Objection, readonly [number, string]>> = {
  signature: [700_027, 'The certificate with identifier used to sign the client assertion is not registered.'],
  expired: [700_024, 'Client assertion is not within its valid time range.'],
  issuer: [700_211, 'No matching federated identity record found for presented assertion issuer.'],
  subject: [700_213, 'No matching federated identity record found for presented assertion subject.'],
  audience: [700_212, 'No matching federated identity record found for presented assertion audience.'],
};

async function judge({ method, path, headers, form }: ScriptedRequest): Promise<ScriptedReply | undefined> {
  const [, tenant, ...rest] = path.split('/');
  if (method !== 'POST' || rest.join('/') !== 'oauth2/v2.0/token') return { status: 404 };
  if (tenant !== TENANT_ID) return entraError(400, 'invalid_request', 90_002, `Tenant '${tenant ?? ''}' not found.`);
  if (headers['content-type'] !== 'application/x-www-form-urlencoded' || form['grant_type'] !== 'client_credentials')
    return entraError(400, 'invalid_request', 900_144, 'The request body must contain the parameter: grant_type.');
  if (form['client_id'] !== CLIENT_ID)
    return entraError(400, 'unauthorized_client', 700_016, 'Application was not found in the directory.');
  if (form['client_assertion_type'] !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    return entraError(
      401,
      'invalid_client',
      7_000_218,
      'The request body must contain client_assertion or client_secret.',
    );
  const verdict = await verifyWorkload(form['client_assertion'] ?? '', {
    audiences: [TOKEN_EXCHANGE_AUDIENCE],
    subject: SUBJECT,
  });
  if (typeof verdict === 'string') return entraError(401, 'invalid_client', ...OBJECTIONS[verdict]);
  if (form['scope']?.endsWith('/.default') !== true)
    return entraError(
      400,
      'invalid_scope',
      1_002_012,
      `The provided value for scope ${form['scope'] ?? ''} is not valid.`,
    );
  return undefined;
}

function usual(behaviour: Behaviour, number: number): ScriptedReply {
  const token = { token_type: 'Bearer', access_token: `canary-of-entra-${String(number)}` };
  const lives = (seconds: unknown) => ({ ...token, expires_in: seconds, ext_expires_in: seconds });
  switch (behaviour.does) {
    case 'issue':
      return { body: lives(behaviour.lifeMs === undefined ? LIFE_SECONDS : behaviour.lifeMs / 1_000) };
    case 'deny':
      return entraError(400, 'invalid_resource', 500_011, 'The resource principal was not found in the tenant.');
    case 'throttle':
      // Without any JSON, as it is seen.
      return { status: 429, headers: { 'retry-after': String(behaviour.pauseMs / 1_000) }, body: 'Too Many Requests' };
    case 'break':
      return { body: lives(LIFE_SECONDS), fault: 'reset-mid-body' };
    case 'babble':
      return { body: lives('soon') };
    case 'hang':
      return { fault: 'hang' };
  }
}

export function entraSource(
  { url, workload }: EntraEndpoint,
  change: Partial<AzureWorkloadIdentitySourceConfiguration> = {},
): AzureWorkloadIdentitySourceConfiguration {
  return {
    name: 'orders-vault',
    provider: 'azure-workload-identity',
    tenantId: TENANT_ID,
    clientId: CLIENT_ID,
    tokenFile: workload.file,
    authority: url,
    scopes: [VAULT_SCOPE],
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
    ...change,
  };
}
