import { ok, Redacted } from '@token-broker/foundation';
import { refuse, setting, wrongKind } from '../../settings.js';

const EXAMPLE = 'write http://[user:password@]host:port, or https:// for a proxy that speaks TLS';

/** An HTTP proxy on the way to the identity provider. The text may hold a password: nothing of it is repeated. */
export const proxy = setting(
  {
    type: 'string',
    minLength: 1,
    writeOnly: true,
    description: 'An HTTP proxy (CONNECT) on the way to the identity provider: http://[user:password@]host:port.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a URL such as "http://proxy:3128"', input));
    return isProxyUrl(input) ? ok(new Redacted(input)) : refuse('not the URL of an HTTP proxy', EXAMPLE);
  },
);

function isProxyUrl(written: string): boolean {
  if (!/^https?:\/\/[^/]/.test(written) || /[\s\p{Cc}]/u.test(written) || !URL.canParse(written)) return false;
  const { pathname, search, hash, username, password } = new URL(written);
  return pathname === '/' && search === '' && hash === '' && isPercentEncoded(username) && isPercentEncoded(password);
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
