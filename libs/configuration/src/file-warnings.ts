import { formatDuration } from '@token-broker/foundation';
import type { Configuration, OAuth2SourceConfiguration } from './configuration.js';
import type { Finding } from './problems.js';
import { DEFAULT_LIFETIME_MS } from './providers/lifetimes.js';
import { traitsOf } from './providers/traits.js';

/** What is allowed, but seldom meant. */
export function warningsOf(configuration: Configuration): Finding[] {
  const { nats, sources, callers } = configuration;
  const warnings: Finding[] = [];
  if (nats.credentials.kind === 'none') {
    const hint = 'callers are told apart by their NATS users: see docs/configuration.md, NATS permissions';
    warnings.push({
      path: ['nats'],
      message: 'names no credentials: without users, NATS lets everybody be every caller',
      hint,
    });
  } else if (nats.credentials === nats.eventCredentials) {
    const hint = 'a second user, in nats.events, keeps replies apart from events';
    warnings.push({ path: ['nats'], message: 'one identity serves requests and publishes events', hint });
  }
  if (sources.size === 0)
    warnings.push({ path: ['sources'], message: 'there are no sources: nothing can be asked for' });
  const granted = new Set([...callers.values()].flatMap(({ grants }) => [...grants.keys()]));
  for (const source of sources.values()) {
    const path = ['sources', source.name];
    if (!granted.has('*') && !granted.has(source.name)) {
      warnings.push({ path, message: 'no caller may use this source', hint: 'name it under callers' });
    }
    if (source.provider !== 'oauth2') {
      if (traitsOf(source).summary.endpoint.startsWith('http:'))
        warnings.push({
          path: [...path, 'allowInsecureHttp'],
          message: 'tokens travel in clear: for development only',
        });
      continue;
    }
    const inClear = source.allowInsecureHttp ? harmOfHttp(source) : undefined;
    if (inClear !== undefined)
      warnings.push({ path: [...path, 'allowInsecureHttp'], message: `${inClear}: for development only` });
    if (source.grant.kind === 'client_credentials' && source.clientAuthentication.kind === 'none') {
      warnings.push({
        path: [...path, 'clientAuthentication'],
        message: 'the client proves nothing: whoever knows its id gets its tokens',
        hint: 'client_credentials is for clients that can keep a secret (RFC 6749 §4.4)',
      });
    }
    const { ahead } = source.refresh;
    if (ahead.kind === 'ms' && ahead.ms >= source.defaultLifetimeMs) {
      const message = `is not below the life of a token without expires_in (${formatDuration(DEFAULT_LIFETIME_MS)})`;
      warnings.push({ path: [...path, 'refresh', 'ahead'], message, hint: 'a share such as "20%" fits every life' });
    }
  }
  return [...warnings, ...sharedClientIds(configuration)];
}

/** Undefined: nothing that the source names is http://. */
function harmOfHttp({ endpoint, clientAuthentication, subjectToken }: OAuth2SourceConfiguration): string | undefined {
  const isInsecure = (url: string): boolean => url.startsWith('http:');
  if (Object.values(endpoint).some(isInsecure)) {
    return `${'clientSecret' in clientAuthentication ? 'the client secret travels' : 'tokens travel'} in clear`;
  }
  const { check } = subjectToken ?? {};
  if (check?.kind !== 'jwt' || !isInsecure(check.jwksUri ?? check.issuer)) return undefined;
  return 'keys that check tokens come over http://';
}

/** Client ids that two callers claim: each of the two may use what was issued to the other. */
function sharedClientIds({ sources, callers }: Configuration): Finding[] {
  if (![...sources.values()].some(({ subjectToken }) => subjectToken !== undefined)) return [];
  const owners = new Map<string, string>();
  const findings: Finding[] = [];
  for (const { name, clientIds } of callers.values()) {
    for (const id of clientIds) {
      const owner = owners.get(id);
      if (owner === undefined) owners.set(id, name);
      else
        findings.push({
          path: ['callers', name],
          message: `shares a client id with callers.${owner}`,
          hint: 'each may use tokens that were issued to the other',
        });
    }
  }
  return findings;
}
