import { Redacted } from '@token-broker/foundation';
import {
  failure,
  normaliseScopes,
  subjectHashOf,
  type Failure,
  type GetRequest,
  type TokenParameters,
} from '@token-broker/protocol';
import { authorise } from '../../domain/policy.js';
import type { SubjectTokens } from '../flight/flight-plan.js';
import type { ServiceRequest } from '../ports/bus.js';
import type { SlotAddress } from '../ports/store.js';
import { isFailure } from './refusal.js';
import type { Snapshot, Source, Sources } from '../sources/sources.js';

/** What one request resolves to once its caller is known to be allowed. */
export interface Route {
  readonly caller: string;
  readonly source: Source;
  readonly address: SlotAddress;
  readonly parameters: TokenParameters;
  /** Where the source takes tokens of callers: not checked yet. */
  readonly subject?: SubjectTokens;
  /** Whom they name: known once they were checked. */
  readonly subjects?: readonly string[];
  /** The configuration that allows it. */
  readonly under: Snapshot['sources'];
  /** Counts an answer out of memory; made by the first of them. */
  countHit?: () => void;
}

/** Plain requests that are remembered by their subject. */
const ROUTES_KEPT = 10_000;

/** Who may ask for what, under the configuration in force. */
export class Routes {
  readonly #sources: Sources;
  readonly #plain = new Map<string, Route>();
  #plainUnder: unknown;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Checks against the policy; the refusal is for the caller. */
  resolve(caller: string, sourceName: string, asked: AskedParameters): Route | Failure {
    const grant = this.#sources.grant(caller, sourceName);
    const source = this.#sources.source(sourceName);
    if (source === undefined) return failure('UNKNOWN_SOURCE', `there is no source "${sourceName}"`);
    if (grant === undefined)
      return failure('FORBIDDEN', `the policy does not give "${sourceName}" to the caller "${caller}"`);
    const { scopes, audience, resource, subject } = asked;
    const takesSubject = source.configuration.subjectToken !== undefined;
    if (takesSubject !== (subject !== undefined)) {
      const problem = takesSubject ? 'needs a subject token' : 'takes no subject token';
      return failure('BAD_REQUEST', `the source "${sourceName}" ${problem}`);
    }
    const isPlain = scopes === undefined && audience === undefined && resource === undefined;
    if (!isPlain && !source.provider.capabilities.takesParameters)
      return failure('BAD_REQUEST', `the source "${sourceName}" takes no scope, audience or resource`);
    const parameters: TokenParameters = {
      ...(scopes === undefined ? {} : { scopes: normaliseScopes(scopes) }),
      ...(audience === undefined ? {} : { audience }),
      ...(resource === undefined ? {} : { resource }),
      ...(subject === undefined ? {} : { subjectHash: hashOf(subject) }),
    };
    const allowed = authorise(grant, source.configuration, parameters);
    if (!allowed.ok) return allowed.error;
    const under = this.#sources.current.sources;
    const address = this.#sources.address(source, parameters);
    return { caller, source, address, parameters, under, ...(subject === undefined ? {} : { subject }) };
  }

  /** The fast path: no body, a known subject, one look-up. */
  plain(request: ServiceRequest): Route | undefined {
    const { current } = this.#sources;
    if (this.#plainUnder !== current.sources) {
      this.#plain.clear();
      this.#plainUnder = current.sources;
    }
    const known = this.#plain.get(request.subject);
    if (known !== undefined) return known;
    const route = this.resolve(request.caller, request.target, {});
    if (isFailure(route)) return undefined;
    if (this.#plain.size >= ROUTES_KEPT) this.#plain.clear();
    this.#plain.set(request.subject, route);
    return route;
  }

  /** The same wish under the configuration of now: a reload may have changed the source or taken it away. */
  current(route: Route): Route | Failure {
    if (route.under === this.#sources.current.sources) return route;
    const { caller, address, parameters, subject } = route;
    return this.resolve(caller, address.source, { ...parameters, ...(subject === undefined ? {} : { subject }) });
  }
}

/** What a request asks for; the tokens of its subject are not checked. */
export type AskedParameters = Omit<TokenParameters, 'subjectHash'> & { readonly subject?: SubjectTokens };

function hashOf({ subjectToken, actorToken }: SubjectTokens): string {
  return subjectHashOf(subjectToken.reveal(), actorToken?.reveal());
}

/** The parameters in a body. */
export function parametersOf(
  body: Pick<GetRequest, 'scope' | 'audience' | 'resource' | 'subjectToken' | 'actorToken'>,
): AskedParameters {
  const { scope, audience, resource, subjectToken, actorToken } = body;
  return {
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...(subjectToken === undefined ? {} : { subject: subjectOf(subjectToken, actorToken) }),
  };
}

function subjectOf(subjectToken: string, actorToken: string | undefined): SubjectTokens {
  return {
    subjectToken: new Redacted(subjectToken),
    ...(actorToken === undefined ? {} : { actorToken: new Redacted(actorToken) }),
  };
}
