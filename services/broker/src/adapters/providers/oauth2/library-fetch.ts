import type { CustomFetch, FetchBody } from 'openid-client';
import { parseObject } from '../http/json-object.js';
import { WholeResponse } from './whole-response.js';
import type { Exchanges } from './exchanges.js';

/** Leads the OAuth library's requests to ours. Its own time limit is left aside: the call has one. */
export function libraryFetch(exchanges: Exchanges): CustomFetch {
  return (url, { method, headers, body }) => {
    const text = textOf(body);
    return exchanges.request(url, { method, headers, ...(text === undefined ? {} : { body: text }) });
  };
}

/**
 * The same for token requests. Kept from the library is what it would refuse a good reply for: an ID token, which nobody here
 * asks for and whose issuer and audience are nobody's concern, and a refresh token that is spelled out as none.
 */
export function tokenRequestFetch(exchanges: Exchanges): CustomFetch {
  const fetch = libraryFetch(exchanges);
  return async (url, options) => {
    const response = await fetch(url, options);
    const { id_token: idToken, refresh_token: refreshToken, ...rest } = parseObject(exchanges.last?.text ?? '') ?? {};
    const isSpelledOut = refreshToken === null || refreshToken === '';
    if (idToken === undefined && !isSpelledOut) return response;
    const kept = isSpelledOut || refreshToken === undefined ? rest : { ...rest, refresh_token: refreshToken };
    return new WholeResponse(JSON.stringify(kept), response);
  };
}

function textOf(body: FetchBody): string | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('the OAuth library sends a body that is neither text nor a form');
}
