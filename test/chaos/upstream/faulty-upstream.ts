import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import { sourceSettings, startStack, type Settings, type Stack } from '../../integration/stack.js';
import type { IdentityProvider } from '@token-broker/testing';

/** Requests enough to reach every replica of a stack of three. */
export const MANY = Array.from({ length: 24 });
/** How long a request and its reply may take on a loaded machine, beside what is waited for upstream. */
export const ANSWERED_WITHIN_MS = 1_000;

/** A stack, and what a test of its upstreams does with it. */
export interface UpstreamBed {
  readonly stack: Stack;
  /** May use every source. */
  readonly ops: RawCaller;
  /** The subject that a source's token is asked for on. */
  get(source: string): string;
  /** Calls of the token endpoint that this source has made: each has a tenant of its own. */
  callsFor(source: string): number;
}

export interface UpstreamOptions {
  readonly tokenLifeSeconds?: number;
  /** Settings of each source, by name, beside those that all have. Called when the identity provider is there. */
  readonly sources: (idp: IdentityProvider) => Promise<Readonly<Record<string, Settings>>>;
}

/** Three replicas, and sources that differ in what is wrong with their identity provider. */
export async function startUpstreamBed({ sources, ...options }: UpstreamOptions): Promise<UpstreamBed> {
  const stack = await startStack({ brokers: 3, ...options });
  const changes = Object.entries(await sources(stack.idp));
  await stack.rewrite((settings) => ({
    ...settings,
    sources: Object.fromEntries(changes.map(([tenant, change]) => [tenant, sourceOf(stack.idp, tenant, change)])),
    callers: { ops: { sources: ['*'], admin: true } },
  }));
  await Promise.all(stack.brokers.map((broker) => broker.reload()));
  const ops = createRawCaller(await stack.connectAs('ops'), 'ops');
  return {
    stack,
    ops,
    get: (source) => subjects.get('ops', source),
    callsFor: (tenant) => stack.idp.requests().filter(({ form }) => form.get('tenant') === tenant).length,
  };
}

/** A source names its token endpoint, or has it discovered; never both. */
function sourceOf(idp: IdentityProvider, tenant: string, change: Settings): Settings {
  const { issuer, ...settings } = sourceSettings(idp, { parameters: { tenant }, ...change });
  return 'tokenEndpoint' in change ? settings : { issuer, ...settings };
}
