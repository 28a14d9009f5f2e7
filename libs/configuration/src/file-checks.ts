import { formatDuration } from '@token-broker/foundation';
import type { Configuration } from './configuration.js';
import type { Finding } from './problems.js';
import { DEFAULT_LIFETIME_MS } from './providers/oauth2.js';
import type { Report } from './settings.js';
import { suggestionOrList } from './suggestion.js';

type Values = Readonly<Record<string, unknown>>;

/** What must hold between the sections of a file. Sees values that may have been refused already. */
export function checkAcrossSections(file: Values, report: Report): void {
  checkCallers(file, report);
  checkLifetimes(file, report);
}

function checkCallers(file: Values, report: Report): void {
  const sources = Object.keys(recordOf(file['sources']));
  const identities = brokerIdentities(recordOf(file['nats']));
  for (const [caller, written] of Object.entries(recordOf(file['callers']))) {
    if (identities.includes(caller)) {
      report(
        ['callers', caller],
        'is the name of the broker’s own NATS user',
        'a caller of that name would receive its replies',
      );
    }
    const entries: unknown = recordOf(written)['sources'];
    const seen = new Set<string>();
    for (const [index, entry] of (Array.isArray(entries) ? (entries as readonly unknown[]) : []).entries()) {
      const isName = typeof entry === 'string';
      const name = isName ? entry : recordOf(entry)['name'];
      const path = ['callers', caller, 'sources', index, ...(isName ? [] : ['name'])];
      if (typeof name !== 'string' || name === '') continue;
      if (seen.has(name)) report(path, 'is in the list already');
      seen.add(name);
      if (name !== '*' && !sources.includes(name))
        report(path, 'there is no source of this name', suggestionOrList(name, sources));
    }
  }
}

/** Names that callers cannot have: an inbox belongs to one identity. */
function brokerIdentities(nats: Values): string[] {
  const written = [nats['user'], recordOf(nats['events'])['user']];
  return [BROKER_USER, BROKER_EVENTS_USER, ...written.filter((name) => typeof name === 'string')];
}

/** The broker's NATS users where the credentials name none, and its inboxes in any case. */
export const BROKER_USER = 'broker';
export const BROKER_EVENTS_USER = 'broker-events';

function checkLifetimes(file: Values, report: Report): void {
  const { minLifetime } = recordOf(file['cluster']);
  if (typeof minLifetime !== 'number') return;
  for (const [source, written] of Object.entries(recordOf(file['sources']))) {
    for (const name of ['defaultLifetime', 'maxLifetime']) {
      const lifetime = recordOf(written)[name];
      if (typeof lifetime !== 'number' || lifetime > minLifetime) continue;
      report(
        ['sources', source, name],
        `is not above cluster.minLifetime (${formatDuration(minLifetime)})`,
        'no such token would ever be handed out',
      );
    }
  }
}

function recordOf(value: unknown): Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Values) : {};
}

/** What is allowed, but seldom meant. */
export function warningsOf({ nats, sources, callers }: Configuration): Finding[] {
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
    if (source.allowInsecureHttp && endpointUrl(source.endpoint).startsWith('http:')) {
      warnings.push({
        path: [...path, 'allowInsecureHttp'],
        message: 'the client secret travels in clear: for development only',
      });
    }
    if (!granted.has('*') && !granted.has(source.name)) {
      warnings.push({ path, message: 'no caller may use this source', hint: 'name it under callers' });
    }
    const { ahead } = source.refresh;
    if (ahead.kind === 'ms' && ahead.ms >= source.defaultLifetimeMs) {
      const message = `is not below the life of a token without expires_in (${formatDuration(DEFAULT_LIFETIME_MS)})`;
      warnings.push({ path: [...path, 'refresh', 'ahead'], message, hint: 'a share such as "20%" fits every life' });
    }
  }
  return warnings;
}

function endpointUrl(endpoint: { readonly issuer?: string; readonly tokenEndpoint?: string }): string {
  return endpoint.issuer ?? endpoint.tokenEndpoint ?? '';
}
