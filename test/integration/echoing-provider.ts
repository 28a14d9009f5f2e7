import {
  startScriptedIdentityProvider,
  type IdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
  type ScriptedRequest,
} from '@token-broker/testing';
import { CLIENT_SECRET, sourceSettings, type Settings } from './stack.js';

/** What a person might choose: each way to write it down spells it differently. */
export const ODD_SECRET = 'canary "other" \\ secret/+%é=&';

/** Sources by the reply that they get, for each way in which the secret is sent: `basic-3`, `post-3`. */
export const ECHO_SOURCES: readonly string[] = ['basic', 'post'].flatMap((kind) =>
  echoes('', '', '').map((_, index) => `${kind}-${String(index)}`),
);

/**
 * A provider that repeats what it was sent, and a token that it once gave out, wherever a reply has room for a text. None
 * of its replies is a token.
 */
export function startEchoingProvider(aToken: () => string): Promise<ScriptedIdentityProvider> {
  return startScriptedIdentityProvider(({ form, headers }: ScriptedRequest) => {
    const { echo = '', client_secret: secret = CLIENT_SECRET } = form;
    const sent = headers.authorization ?? new URLSearchParams({ client_secret: secret }).toString();
    return echoes(secret, sent, aToken())[Number(echo.split('-')[1])] ?? {};
  });
}

export function echoSettings(idp: IdentityProvider, echo: ScriptedIdentityProvider, source: string): Settings {
  const isPost = source.startsWith('post');
  const { issuer: _issuer, ...settings } = sourceSettings(idp, {
    clientAuthentication: isPost ? 'client_secret_post' : 'client_secret_basic',
    clientSecret: isPost ? ODD_SECRET : CLIENT_SECRET,
    parameters: { echo: source },
  });
  return { ...settings, tokenEndpoint: echo.tokenEndpoint };
}

function echoes(secret: string, sent: string, token: string): ScriptedReply[] {
  const said = `${secret} ${sent} ${token}`;
  const bearer = { access_token: token, token_type: 'Bearer', expires_in: 60 };
  return [
    { status: 401, body: { error: 'invalid_client', error_description: `wrong: ${said}` } },
    ...[secret, token, said, { access_token: { value: token } }].map((error) => ({
      status: 400,
      body: { error },
    })),
    { body: { ...bearer, token_type: secret } },
    { body: { ...bearer, token_type: token } },
    { body: { access_token: token, expires_in: 60 } },
    { body: { ...bearer, scope: token } },
    { body: { ...bearer, scope: secret } },
    { body: { ...bearer, access_token: `${token}\r\n` } },
    { body: { ...bearer, expires_in: token } },
    { body: { access_token: { value: token } } },
    { body: `not JSON: ${said}` },
    { status: 500, body: `<html>client_secret=${encodeURIComponent(secret)}&${sent}</html>` },
    { status: 503, body: said },
    { status: 401, headers: { 'www-authenticate': `Basic realm="x", error="${encodeURIComponent(secret)}"` } },
    { status: 302, headers: { location: `https://idp.example/?client_secret=${encodeURIComponent(secret)}` } },
  ];
}
