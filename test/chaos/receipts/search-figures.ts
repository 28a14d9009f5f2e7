import { createHash } from 'node:crypto';
import { createSystemClock } from '@token-broker/foundation';
import type { Selector } from '@token-broker/protocol';
import { startScriptedIdentityProvider, type ScriptedIdentityProvider } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { ask } from '../../integration/asking.js';
import { sourceSettings, startStack, type Settings } from '../../integration/stack.js';
import { machineMs } from '../upstream/machine-time.js';
import { whileWatched } from './blocked.js';

const SOURCE = 'invoices';
const CALLER = 'orders';
const SUBJECT = 'jane';
const ASKED_AT_ONCE = 64;
/** Of a JWT with a few claims. */
const TOKEN_CHARACTERS = 1_200;

export interface SearchFigure {
  readonly slots: number;
  /** From the operator's call to the reply. */
  readonly tookMs: number;
  /** The longest that the event loop of the broker could do nothing else. */
  readonly blockedMs: number;
}

export type SearchFigures = Readonly<Record<'dryRun' | 'token' | 'subject' | 'issuedBefore', SearchFigure>>;

/** Measures searches through many slots, and the end of all of them, with the broker in this process. */
export async function measureSearches(options: {
  readonly slots: number;
  readonly progress: (text: string) => void;
}): Promise<SearchFigures> {
  const { slots, progress } = options;
  const identity = await startIdentity();
  const stack = await startStack({
    brokers: 1,
    configure: (settings, idp) => ({ ...settings, ...sourcesOf(sourceSettings(idp), identity) }),
  });
  try {
    const connection = await stack.connectAs(CALLER);
    const operator = await stack.operator();
    const measure = async (selector: Selector, more: object = {}): Promise<SearchFigure> => {
      const calledAtMs = machineMs();
      const { value, blockedMs } = await whileWatched(() => operator.revoke({ selector, reason: 'a figure', ...more }));
      return { slots: value.slots ?? 0, tookMs: machineMs() - calledAtMs, blockedMs };
    };
    progress(`fetching ${String(slots)} tokens`);
    const [token = ''] = await fetchAll(connection, slots);
    const dryRun = await measure({ subject: SUBJECT }, { dryRun: true });
    const digest = createHash('sha256').update(token).digest('hex');
    const byToken = await measure({ tokenSha256: digest });
    progress('revoking them');
    const subject = await measure({ subject: SUBJECT });
    await fetchAll(connection, slots);
    const issuedBefore = await measure({ issuedBeforeMs: Math.floor(createSystemClock().wallMs()) });
    return { dryRun, token: byToken, subject, issuedBefore };
  } finally {
    await stack.stop();
    await identity.stop();
  }
}

/** Every token is good, of the caller, and on behalf of one subject; each exchange gives another. */
function startIdentity(): Promise<ScriptedIdentityProvider> {
  return startScriptedIdentityProvider(({ path }, index) => {
    const isIntrospection = path.includes('introspect');
    const body = isIntrospection
      ? { active: true, client_id: CALLER, sub: SUBJECT }
      : {
          access_token: `${String(index)}-`.padEnd(TOKEN_CHARACTERS, 'x'),
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          token_type: 'Bearer',
          expires_in: 3_600,
        };
    return { body };
  });
}

function sourcesOf({ issuer: _issuer, ...settings }: Settings, identity: ScriptedIdentityProvider): Settings {
  const exchange = {
    grant: 'token_exchange',
    subjectToken: { check: 'introspection' },
    tokenEndpoint: identity.tokenEndpoint,
    introspectionEndpoint: `${identity.issuer}/introspect`,
  };
  return {
    sources: { [SOURCE]: { ...settings, ...exchange } },
    callers: { [CALLER]: { sources: [SOURCE] }, ops: { sources: ['*'], admin: true } },
  };
}

async function fetchAll(connection: NatsConnection, slots: number): Promise<string[]> {
  const tokens: string[] = [];
  for (let i = 0; i < slots; i += ASKED_AT_ONCE) {
    const batch = Array.from({ length: Math.min(ASKED_AT_ONCE, slots - i) }, (_, j) =>
      ask(connection, CALLER, SOURCE, { subjectToken: `subject-token-${String(i + j)}` }),
    );
    tokens.push(...(await Promise.all(batch)).map(({ accessToken }) => accessToken));
  }
  return tokens;
}
