import { createPublicKey, verify } from 'node:crypto';
import { createSystemClock } from '@token-broker/foundation';
import { jwtVerify } from 'jose';
import type { Behaviour } from './contract/provider-contract.js';
import { startJsonEndpoint, type JsonReply, type JsonRequest } from './json-endpoint.js';

const clock = createSystemClock();

const HOUR_MS = 3_600_000;
/** "no more than 10 minutes into the future", says GitHub of `exp`. */
const LONGEST_ASSERTION_SECONDS = 600;
const DOCUMENTATION = 'https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app';

export interface GitHubOptions {
  readonly appId: string;
  /** PEM. */
  readonly publicKey: string;
  readonly installationId: number;
  /** What the installation may: repositories with their numbers, and permissions. */
  readonly repositories: Readonly<Record<string, number>>;
  readonly permissions: Readonly<Record<string, string>>;
}

export interface GitHubEndpoint {
  readonly url: string;
  /** Claims of each assertion that was taken, the oldest first. */
  readonly assertions: Readonly<Record<string, unknown>>[];
  /** What each of these asked for. */
  readonly asked: unknown[];
  readonly takenBack: string[];
  calls(): number;
  will(behaviour: Behaviour): void;
  /** In place of the next replies to good requests. */
  answer: JsonReply | undefined;
  /** By how much its clock is ahead of this one. */
  clockAheadMs: number;
}

/**
 * The part of GitHub's REST API that apps get their tokens from. It checks assertions by `jose` and by the operating system's
 * OpenSSL, their bounds, the headers that every request must have, and what the installation may; it answers in the documented format,
 * with the documented errors.
 */
export async function startGitHub(options: GitHubOptions): Promise<GitHubEndpoint> {
  const key = createPublicKey(options.publicKey);
  let behaviour: Behaviour = { does: 'issue' };
  let calls = 0;
  let issued = 0;
  const live = new Set<string>();

  const refuse = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): JsonReply => ({
    status,
    headers,
    body: { message, documentation_url: DOCUMENTATION, status: String(status) },
  });

  /** The claims, or why the assertion is not taken. */
  const judge = async ({ headers }: JsonRequest): Promise<Readonly<Record<string, unknown>> | JsonReply> => {
    if (headers['user-agent'] === undefined)
      return refuse(
        403,
        'Request forbidden by administrative rules. Please make sure your request has a User-Agent header',
      );
    if (headers.accept !== 'application/vnd.github+json' || headers['x-github-api-version'] !== '2022-11-28')
      return refuse(400, 'Not the version of the API that was asked for');
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    const [head = '', payload = '', signature = ''] = token.split('.');
    const isSigned = verify('RSA-SHA256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'));
    if (!isSigned) return refuse(401, 'A JSON web token could not be decoded');
    const currentDate = new Date(clock.wallMs() + endpoint.clockAheadMs);
    const nowSeconds = Math.floor(currentDate.getTime() / 1_000);
    const read = await jwtVerify(token, key, { algorithms: ['RS256'], currentDate }).catch(() => undefined);
    if (read === undefined)
      return refuse(
        401,
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
      );
    const { iss, iat, exp = 0 } = read.payload;
    if (iat === undefined || iat > nowSeconds)
      return refuse(
        401,
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
      );
    if (exp - nowSeconds > LONGEST_ASSERTION_SECONDS)
      return refuse(401, "'Expiration time' claim ('exp') is too far in the future");
    return iss === options.appId ? read.payload : refuse(404, 'Integration not found');
  };

  const issue = (body: unknown, lifeMs: number): JsonReply => {
    const {
      repositories,
      repository_ids: ids,
      permissions = {},
    } = (body ?? {}) as {
      readonly repositories?: readonly string[];
      readonly repository_ids?: readonly number[];
      readonly permissions?: Readonly<Record<string, string>>;
    };
    const names = Object.keys(options.repositories);
    const isWithin =
      (repositories ?? []).every((name) => names.includes(name)) &&
      (ids ?? []).every((id) => Object.values(options.repositories).includes(id));
    if (!isWithin)
      return refuse(
        422,
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      );
    if (Object.entries(permissions).some(([name, level]) => options.permissions[name] !== level))
      return refuse(422, 'The permissions requested are not granted to this installation.');
    const token = `ghs_canary${String(++issued).padStart(30, '0')}`;
    live.add(token);
    const expires = new Date(clock.wallMs() + endpoint.clockAheadMs + lifeMs).toISOString().replace(/\.\d+Z$/, 'Z');
    return {
      status: 201,
      body: {
        token,
        expires_at: expires,
        permissions: Object.keys(permissions).length === 0 ? options.permissions : permissions,
        repository_selection: repositories === undefined && ids === undefined ? 'all' : 'selected',
      },
    };
  };

  const usual = (body: unknown): JsonReply => {
    switch (behaviour.does) {
      case 'issue':
        return issue(body, behaviour.lifeMs ?? HOUR_MS);
      case 'deny':
        return refuse(403, 'This installation has been suspended');
      case 'throttle':
        return refuse(
          403,
          'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
          {
            'retry-after': String(behaviour.pauseMs / 1_000),
          },
        );
      case 'break':
        return { ...issue(body, HOUR_MS), fault: 'break' };
      case 'babble':
        return { status: 201, body: '<html><p>Welcome to the network of this hotel</html>' };
      case 'hang':
        return { status: 201, fault: 'hang' };
    }
  };

  const takeBack = ({ headers }: JsonRequest): JsonReply => {
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    if (!live.delete(token)) return refuse(401, 'Bad credentials');
    endpoint.takenBack.push(token);
    return { status: 204 };
  };

  const answer = async (request: JsonRequest): Promise<JsonReply> => {
    if (request.method === 'DELETE' && request.path === '/installation/token')
      return endpoint.answer ?? takeBack(request);
    calls++;
    // By a clock of the test that has stopped, no assertion is good.
    if (behaviour.does === 'hang') return usual(undefined);
    const judged = await judge(request);
    if ('status' in judged) return judged as JsonReply;
    endpoint.assertions.push(judged);
    endpoint.asked.push(request.body);
    const place = `/app/installations/${String(options.installationId)}/access_tokens`;
    if (request.method !== 'POST' || request.path !== place) return refuse(404, 'Not Found');
    return endpoint.answer ?? usual(request.body);
  };

  const url = await startJsonEndpoint(async (request) => {
    const { headers, ...reply } = await answer(request);
    const date = new Date(clock.wallMs() + endpoint.clockAheadMs).toUTCString();
    return { ...reply, headers: { date, ...headers } };
  });
  const endpoint: GitHubEndpoint = {
    url,
    assertions: [],
    asked: [],
    takenBack: [],
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
    answer: undefined,
    clockAheadMs: 0,
  };
  return endpoint;
}
