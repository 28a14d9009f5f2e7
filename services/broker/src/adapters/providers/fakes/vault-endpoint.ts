import { jwtVerify, type CryptoKey } from 'jose';
import type { Behaviour } from './contract/provider-contract.js';
import { startJsonEndpoint, type JsonReply, type JsonRequest } from './json-endpoint.js';
import { VaultState } from './vault-state.js';

const HOUR_MS = 3_600_000;
const REQUEST_ID = '6a3b5d0f-7c1e-4f7a-9d4e-1b2c3d4e5f60';

export interface VaultOptions {
  readonly roleId: string;
  readonly secretId: string;
  /** The role of Kubernetes: whose tokens it takes, and the key that signs these. */
  readonly kubernetes?: { readonly role: string; readonly subject: string; readonly key: CryptoKey };
  readonly namespace?: string;
}

export interface VaultEndpoint {
  readonly url: string;
  readonly state: VaultState;
  /** All requests, the oldest first: method and path. */
  readonly requests: string[];
  /** What was written to the paths of secrets. */
  readonly asked: unknown[];
  /** Requests for secrets. */
  calls(): number;
  /** How it answers requests for secrets. */
  will(behaviour: Behaviour): void;
  /** In place of the next replies to each kind of request. */
  readonly answers: { login?: JsonReply; secret?: JsonReply; revocation?: JsonReply };
  loginLifeMs: number;
  loginType: 'service' | 'batch';
  /** Whether the policies of the role allow `sys/leases/revoke`. */
  mayRevokeLeases: boolean;
}

const refuse = (status: number, ...errors: readonly string[]): JsonReply => ({ status, body: { errors } });
const DENIED = refuse(403, '1 error occurred:\n\t* permission denied\n\n');
const UNKNOWN_TOKEN = refuse(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n');

/**
 * The part of Vault's HTTP API that dynamic secrets come from, on a free port: logins by AppRole and Kubernetes (whose tokens it checks by
 * `jose`), three secrets engines, tokens and leases that hang on each other, and the documented errors. It stands in for a server, and is
 * written from the documentation of the API.
 */
export async function startVault(options: VaultOptions): Promise<VaultEndpoint> {
  const state = new VaultState();
  let behaviour: Behaviour = { does: 'issue' };
  let calls = 0;
  let issued = 0;

  const envelope = (more: Readonly<Record<string, unknown>>): JsonReply => ({
    status: 200,
    body: {
      ...{ request_id: REQUEST_ID, lease_id: '', renewable: false, lease_duration: 0 },
      ...{ data: null, wrap_info: null, warnings: null, auth: null, mount_type: '' },
      ...more,
    },
  });

  const tokenReply = (lifeMs: number, type: 'service' | 'batch', parent?: string): JsonReply => {
    const { id } = state.createToken(lifeMs, type, parent);
    const auth = {
      ...{ client_token: id, accessor: type === 'batch' ? '' : 'accessor', policies: ['default', 'orders'] },
      ...{ token_policies: ['default', 'orders'], metadata: {}, lease_duration: lifeMs / 1_000 },
      ...{ renewable: type === 'service', entity_id: '', token_type: type, orphan: parent === undefined },
      ...{ mfa_requirement: null, num_uses: 0 },
    };
    return envelope({ auth });
  };

  const logIn = async (method: string, body: Readonly<Record<string, unknown>>): Promise<JsonReply> => {
    const taken = tokenReply.bind(undefined, endpoint.loginLifeMs, endpoint.loginType);
    if (method === 'approle') {
      const isKnown = body['role_id'] === options.roleId && body['secret_id'] === options.secretId;
      return isKnown ? taken() : refuse(400, 'invalid role or secret ID');
    }
    const { kubernetes } = options;
    if (kubernetes === undefined)
      return refuse(404, 'no handler for route "auth/kubernetes/login". route entry not found.');
    if (body['role'] !== kubernetes.role) return refuse(400, `invalid role name "${String(body['role'])}"`);
    const read = await jwtVerify(String(body['jwt']), kubernetes.key, { algorithms: ['RS256'] }).catch(() => undefined);
    return read?.payload.sub === kubernetes.subject ? taken() : refuse(403, 'permission denied');
  };

  const secret = (path: string, by: string, lifeMs: number, text: string, data: object): JsonReply => ({
    ...envelope({
      lease_id: state.createLease(path, by, text, lifeMs),
      renewable: path.startsWith('database/'),
      lease_duration: lifeMs / 1_000,
      data,
    }),
  });

  const issue = ({ method, body }: JsonRequest, path: string, by: string, askedMs?: number): JsonReply => {
    const lifeMs = askedMs ?? HOUR_MS;
    const number = String(++issued).padStart(4, '0');
    switch (path) {
      case 'database/creds/orders': {
        const password = `canary-of-a-password-${number}`;
        const data = { username: `v-approle-orders-${number}`, password };
        return method === 'GET' ? secret(path, by, lifeMs, password, data) : refuse(405, 'unsupported operation');
      }
      case 'aws/creds/reports': {
        const keys = { access_key: `ASIACANARYKEY${number}`, secret_key: `canary/secret+${number}` };
        const session = `canary//session+${number}==`;
        const text = { AccessKeyId: keys.access_key, SecretAccessKey: keys.secret_key, SessionToken: session };
        const data = { ...keys, security_token: session, session_token: session, arn: 'arn:aws:sts::1:assumed-role/x' };
        return secret(path, by, lifeMs, JSON.stringify(text), data);
      }
      case 'aws/sts/reports': {
        const keys = { access_key: `ASIACANARYKEY${number}`, secret_key: `canary/secret+${number}` };
        const session = { security_token: `canary//session+${number}==`, session_token: `canary//session+${number}==` };
        return envelope({ data: { ...keys, ...session, arn: 'arn:aws:sts::1:assumed-role/x', ttl: lifeMs / 1_000 } });
      }
      case 'database/static-creds/orders': {
        const rotation = { last_vault_rotation: '2026-11-22T08:00:00Z', rotation_period: 3_600, ttl: lifeMs / 1_000 };
        return envelope({ data: { username: 'orders', password: 'canary-of-a-static-role', ...rotation } });
      }
      case 'kubernetes/creds/deployer': {
        const { kubernetes_namespace: namespace } = (body ?? {}) as { readonly kubernetes_namespace?: string };
        if (method === 'GET') return refuse(405, 'unsupported operation');
        if (namespace === undefined) return refuse(400, "'kubernetes_namespace' is required");
        const token = `canary.of.a-service-account-${number}`;
        const data = {
          service_account_name: `v-${number}`,
          service_account_namespace: namespace,
          service_account_token: token,
        };
        return secret(path, by, lifeMs, token, data);
      }
      case 'auth/token/create': {
        if (method === 'GET') return refuse(405, 'unsupported operation');
        const { no_parent: isOrphan = false } = (body ?? {}) as { readonly no_parent?: boolean };
        return tokenReply(lifeMs, 'service', isOrphan ? undefined : by);
      }
      case 'kv/data/orders':
        return envelope({ data: { data: { password: 'canary-of-a-kv' }, metadata: { version: 1 } } });
      default:
        return refuse(404);
    }
  };

  const usual = (request: JsonRequest, path: string, by: string): JsonReply => {
    switch (behaviour.does) {
      case 'issue':
        return issue(request, path, by, behaviour.lifeMs);
      case 'deny':
        return DENIED;
      case 'throttle':
        return {
          ...refuse(429, `1 error occurred:\n\t* request path "${path}": rate limit quota exceeded\n\n`),
          headers: { 'retry-after': String(behaviour.pauseMs / 1_000) },
        };
      case 'break':
        return { ...issue(request, path, by), fault: 'break' };
      case 'babble':
        return { status: 200, body: '<html><p>Welcome to the network of this hotel</html>' };
      case 'hang':
        return { status: 200, fault: 'hang' };
    }
  };

  const revoke = ({ method, body }: JsonRequest, path: string, by: string): JsonReply => {
    if (path === 'auth/token/revoke-self') {
      if (state.token(by)?.type === 'batch') return refuse(400, 'batch tokens cannot be revoked');
      state.revokeToken(by);
      return { status: 204 };
    }
    if (!endpoint.mayRevokeLeases) return DENIED;
    const { lease_id: id, sync } = body as { readonly lease_id?: string; readonly sync?: boolean };
    if (method !== 'PUT' || typeof id !== 'string' || sync !== true) return refuse(400, 'lease_id must be specified');
    state.revokeLease(id);
    return { status: 204 };
  };

  const answer = async (request: JsonRequest): Promise<JsonReply> => {
    const { method, headers, body } = request;
    const path = request.path.slice('/v1/'.length);
    endpoint.requests.push(`${method} ${path}`);
    if (headers['x-vault-request'] !== 'true') return refuse(412, "missing 'X-Vault-Request' header");
    if (headers['x-vault-namespace'] !== options.namespace) return DENIED;
    const [, login] = /^auth\/(approle|kubernetes)\/login$/.exec(path) ?? [];
    if (login !== undefined)
      return endpoint.answers.login ?? logIn(login, (body ?? {}) as Readonly<Record<string, unknown>>);
    const isRevocation = path === 'auth/token/revoke-self' || path === 'sys/leases/revoke';
    if (!isRevocation) calls++;
    const by = headers['x-vault-token'];
    if (typeof by !== 'string') return refuse(400, 'missing client token');
    if (state.token(by) === undefined) return UNKNOWN_TOKEN;
    if (isRevocation) return endpoint.answers.revocation ?? revoke(request, path, by);
    endpoint.asked.push(body);
    return endpoint.answers.secret ?? usual(request, path, by);
  };

  const endpoint: VaultEndpoint = {
    url: await startJsonEndpoint((request) => answer(request)),
    state,
    requests: [],
    asked: [],
    calls: () => calls,
    will: (next) => {
      behaviour = next;
    },
    answers: {},
    loginLifeMs: 2 * HOUR_MS,
    loginType: 'service',
    mayRevokeLeases: false,
  };
  return endpoint;
}
