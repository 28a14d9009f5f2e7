import { formatDuration } from '@token-broker/foundation';
import { meaningOfQuota } from './providers/quota.js';
import { valuesOf, type Report, type Values } from './settings.js';
import { suggestionOrList } from './suggestion.js';

/** What must hold between the sections of a file. Sees values that may have been refused already. */
export function checkAcrossSections(file: Values, report: Report): void {
  checkCallers(file, report);
  checkOperators(file, report);
  checkLifetimes(file, report);
  checkQuotas(file, report);
  checkLenders(file, report);
}

function checkCallers(file: Values, report: Report): void {
  const sources = Object.keys(valuesOf(file['sources']));
  const identities = brokerIdentities(valuesOf(file['nats']));
  for (const [caller, written] of Object.entries(valuesOf(file['callers']))) {
    if (identities.includes(caller)) {
      report(
        ['callers', caller],
        'is the name of the broker’s own NATS user',
        'a caller of that name would receive its replies',
      );
    }
    const entries: unknown = valuesOf(written)['sources'];
    const seen = new Set<string>();
    for (const [index, entry] of (Array.isArray(entries) ? (entries as readonly unknown[]) : []).entries()) {
      const isName = typeof entry === 'string';
      const name = isName ? entry : valuesOf(entry)['name'];
      const path = ['callers', caller, 'sources', index, ...(isName ? [] : ['name'])];
      if (typeof name !== 'string' || name === '') continue;
      if (seen.has(name)) report(path, 'is in the list already');
      seen.add(name);
      if (name !== '*' && !sources.includes(name))
        report(path, 'there is no source of this name', suggestionOrList(name, sources));
    }
  }
}

/** Who comes in by HTTP must be an operator: a credential that opens nothing is a mistake in one of two places. */
function checkOperators(file: Values, report: Report): void {
  const callers = valuesOf(file['callers']);
  const admin = valuesOf(valuesOf(file['http'])['admin']);
  for (const kind of ['tokens', 'certificates']) {
    const entries: unknown = admin[kind];
    for (const [index, entry] of (Array.isArray(entries) ? (entries as readonly unknown[]) : []).entries()) {
      const { caller } = valuesOf(entry);
      if (typeof caller !== 'string') continue;
      const path = ['http', 'admin', kind, index, 'caller'];
      if (!Object.hasOwn(callers, caller))
        report(path, 'there is no caller of this name', suggestionOrList(caller, Object.keys(callers)));
      else if (valuesOf(callers[caller])['admin'] === false)
        report(path, 'is not an operator', `admin: true under callers.${caller}`);
    }
  }
}

/** Names that callers cannot have: an inbox belongs to one identity. */
function brokerIdentities(nats: Values): string[] {
  const written = [nats['user'], valuesOf(nats['events'])['user']];
  return [BROKER_USER, BROKER_EVENTS_USER, ...written.filter((name) => typeof name === 'string')];
}

/** The broker's NATS users where the credentials name none, and its inboxes in any case. */
export const BROKER_USER = 'broker';
export const BROKER_EVENTS_USER = 'broker-events';

function checkLifetimes(file: Values, report: Report): void {
  const { minLifetime } = valuesOf(file['cluster']);
  if (typeof minLifetime !== 'number') return;
  for (const [source, written] of Object.entries(valuesOf(file['sources']))) {
    for (const name of ['defaultLifetime', 'maxLifetime', 'lifetime']) {
      const lifetime = valuesOf(written)[name];
      if (typeof lifetime !== 'number' || lifetime > minLifetime) continue;
      report(
        ['sources', source, name],
        `is not above cluster.minLifetime (${formatDuration(minLifetime)})`,
        'no such token would ever be handed out',
      );
    }
  }
}

/** One client at one endpoint has one budget, whichever source calls it: its limits cannot be two things. */
function checkQuotas(file: Values, report: Report): void {
  const stated = new Map<string, { readonly source: string; readonly meaning: string }>();
  for (const [source, written] of Object.entries(valuesOf(file['sources']))) {
    const { quota } = valuesOf(written);
    const upstream = upstreamOf(valuesOf(written));
    const meaning = quota === undefined ? undefined : meaningOfQuota(quota);
    if (upstream === undefined || meaning === undefined) continue;
    const earlier = stated.get(upstream);
    if (earlier === undefined) stated.set(upstream, { source, meaning });
    else if (earlier.meaning !== meaning) {
      report(
        ['sources', source, 'quota'],
        `is not sources.${earlier.source}.quota, of the same client at the same endpoint`,
        'one client has one quota, for all its sources',
      );
    }
  }
}

/** Who is known to the upstream, and where. Undefined: what was refused is no identity. */
function upstreamOf(source: Values): string | undefined {
  const { provider, issuer, tokenEndpoint, clientId, authority, tenantId } = source;
  switch (provider) {
    case 'azure-workload-identity':
      return JSON.stringify([provider, authority, tenantId, clientId]);
    case 'google-workload-identity': {
      const { stsEndpoint, workloadIdentityProvider, subjectTokenFile, subjectTokenField, subjectTokenSource } = source;
      const subject = [subjectTokenFile, subjectTokenField, subjectTokenSource];
      return JSON.stringify([provider, stsEndpoint, workloadIdentityProvider, subject]);
    }
    default: {
      const endpoint = issuer ?? tokenEndpoint;
      if (typeof endpoint !== 'string' || typeof clientId !== 'string') return undefined;
      return JSON.stringify([provider, issuer === undefined ? 'token-endpoint' : 'issuer', endpoint, clientId]);
    }
  }
}

/** Credentials that one source takes from another: it must be there, be of the kind that is needed, and not need the first in turn. */
function checkLenders(file: Values, report: Report): void {
  const sources = valuesOf(file['sources']);
  for (const source of Object.keys(sources)) {
    const lender = lenderOf(sources, source);
    if (lender === undefined) continue;
    const isSubject = valuesOf(sources[source])['provider'] === 'google-workload-identity';
    const path = ['sources', source, ...(isSubject ? ['subjectTokenSource'] : ['credentials', 'source'])];
    if (!Object.hasOwn(sources, lender)) {
      report(path, 'there is no source of this name', suggestionOrList(lender, Object.keys(sources)));
    } else if (isInCircle(sources, source)) {
      report(path, 'leads back to this source');
    } else if (isSubject && !mayIssue(valuesOf(sources[lender]), 'Bearer')) {
      report(path, 'is a source without bearer tokens', 'such as one of oauth2');
    } else if (!isSubject && !mayIssue(valuesOf(sources[lender]), 'aws-credentials')) {
      report(path, 'is a source without credentials of AWS', 'such as one of aws-sts');
    }
  }
}

/** Whether a source may issue what is of this type; of a module, nobody knows. */
function mayIssue(
  { provider, output, tokenType, credentialType }: Values,
  type: 'Bearer' | 'aws-credentials',
): boolean {
  switch (provider) {
    case 'oauth2':
    case 'azure-workload-identity':
    case 'google-workload-identity':
    case 'github-app':
      return type === 'Bearer';
    case 'aws-sts':
      return type === 'aws-credentials';
    case 'aws-rds-iam':
      return false;
    case 'exec':
      return (output === 'credential-process') === (type === 'aws-credentials');
    case 'vault':
      return type === 'Bearer' ? credentialType === 'bearer' : credentialType === 'aws-credentials';
    case 'static':
      return tokenType === type;
    default:
      return true;
  }
}

function lenderOf(sources: Values, source: string): string | undefined {
  const { credentials, subjectTokenSource } = valuesOf(sources[source]);
  const lender = subjectTokenSource ?? valuesOf(credentials)['source'];
  return typeof lender === 'string' ? lender : undefined;
}

function isInCircle(sources: Values, source: string): boolean {
  const seen = new Set<string>();
  for (let next = lenderOf(sources, source); next !== undefined && !seen.has(next); next = lenderOf(sources, next)) {
    if (next === source) return true;
    seen.add(next);
  }
  return false;
}
