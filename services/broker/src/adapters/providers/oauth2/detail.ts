import type { Redacted } from '@token-broker/foundation';

const MAX_CHARACTERS = 300;

/**
 * Makes a text of the identity provider fit for the log: short, on one line, without the client's secret in any usual
 * spelling and without anything that looks like a token.
 */
export function createDetail(clientId: string, clientSecret: Redacted): (text: string) => string {
  const secret = clientSecret.reveal();
  const spellings = new Set([
    secret,
    encodeURIComponent(secret),
    new URLSearchParams([['', secret]]).toString().slice(1),
    ...(['base64', 'base64url', 'hex'] as const).map((encoding) => Buffer.from(secret).toString(encoding)),
    Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`).toString('base64'),
    JSON.stringify(secret).slice(1, -1),
  ]);
  return (text) => {
    let clean = text;
    for (const spelling of spellings) if (spelling !== '') clean = clean.replaceAll(spelling, '<redacted>');
    return (
      clean
        .replaceAll(
          /("?(?:access_token|refresh_token|id_token|client_secret|assertion)"?\s*[:=]\s*"?)[^"&,\s}]+/gi,
          '$1<redacted>',
        )
        .replaceAll(/[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, '<redacted>')
        .replaceAll(/[A-Za-z0-9_~+/-]{40,}=*/g, '<redacted>')
        // eslint-disable-next-line no-control-regex -- control characters are what is taken out
        .replaceAll(/[\x00-\x1f\x7f]+/g, ' ')
        .slice(0, MAX_CHARACTERS)
    );
  };
}
