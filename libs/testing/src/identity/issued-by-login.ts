import type Provider from 'oidc-provider';

/** A login of a person at a client, with consent. */
export interface Login {
  readonly clientId: string;
  /** Who logged in. Default `someone`. */
  readonly accountId?: string;
  /** What was consented to. Default `openid offline_access`. */
  readonly scope?: string;
  /** The resource that it was for (RFC 8707). Default: none. */
  readonly resource?: string;
}

/** Makes a refresh token as the authorization code grant would have. */
export async function issueRefreshToken(provider: Provider, login: Login): Promise<string> {
  const { clientId, accountId = 'someone', scope = 'openid offline_access', resource } = login;
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client ${clientId} is configured`);
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  if (resource !== undefined) grant.addResourceScope(resource, scope);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    client,
    accountId,
    grantId,
    scope,
    ...(resource === undefined ? {} : { resource }),
    gty: 'authorization_code',
    iiat: Math.floor(Date.now() / 1000),
    expiresWithSession: false,
  });
  return token.save();
}
