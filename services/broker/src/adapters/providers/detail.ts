import type { Redacted } from '@token-broker/foundation';

const MAX_CHARACTERS = 300;
const SHOWN = '<redacted>';

/** No more of a text is looked at: an identity provider must not make the search for secrets slow. */
const WINDOW_CHARACTERS = 8_192;

/** A longer beginning of a secret than this is found by its look; to cut more would leave nothing of the text. */
const MOST_CUT_CHARACTERS = WINDOW_CHARACTERS / 2;

/** Secrets that are longer are keys, which are sent to nobody: they are searched for as they stand, in pieces. */
const MOST_SPELLED_CHARACTERS = 1_024;

/** Strings of JSON that are secrets, to their last character. */
const SECRET_STRING =
  /("(?:access_?token|refresh_?token|id_?token|client_?secret|(?:client_?)?assertion|password)"\s*:\s*")(?:[^"\\]|\\.)*/gi;

/** What follows the scheme of an `Authorization` header (RFC 9110 §11.6.2). */
const CREDENTIALS = /(?<=\b(?:Bearer|Basic|DPoP) )[A-Za-z0-9._~+/-]{8,}=*/gi;

/** The values of fields that hold secrets: in JSON, also in JSON within JSON, and in forms. */
const SECRET_FIELD =
  /((?:access_token|refresh_token|id_token|client_secret|client_assertion|assertion|password)(?:[\\"'\s]|%5c|%2[27])*(?:[:=]|%3[ad])(?:[\\"'\s]|%5c|%2[27])*)[^\\"'&,\s}]+/gi;

/** A longer token is found in a log line by its look, and need not be searched for. */
const LONGEST_SEARCHED_CHARACTERS = 1_024;

/** A JWT, whole or cut. */
const JWT = /\beyJ[A-Za-z0-9_.~+/=-]*/g;

// eslint-disable-next-line no-control-regex -- control characters are what is taken out
const CONTROL = /[\x00-\x1f\x7f\u2028\u2029]+/g;

/** Long runs of the characters that tokens are made of. Identifiers of traces and clients (UUIDs) are shorter. */
const LONG_RUN = /[A-Za-z0-9_~+/.=%-]{40,}/g;

/** The known secrets of a source, however they are spelled. */
interface KnownSecrets {
  readonly spelling: RegExp;
  /** Characters of the longest spelling that is worth a cut. */
  readonly longest: number;
}

function knownSecrets(clientId: string, secrets: readonly Redacted[]): KnownSecrets {
  // Well-formed, as it is sent: half a surrogate pair can be encoded by nothing below.
  const texts = secrets.map((secret) => Buffer.from(secret.reveal()).toString());
  const spelled = texts
    .filter((secret) => secret.length <= MOST_SPELLED_CHARACTERS)
    .flatMap((secret) => [
      ...spellings(secret),
      `${formEncoded(clientId)}:${formEncoded(secret)}`,
      `${clientId}:${secret}`,
    ])
    .flatMap((spelling) => [spelling, ...base64Cores(spelling)])
    .flatMap((spelling) => [spelling, encodeURI(spelling), encodeURIComponent(spelling)]);
  spelled.push(...texts.filter((secret) => secret.length > MOST_SPELLED_CHARACTERS).flatMap(piecesOf));
  // The longest first: a spelling that begins another must not leave the rest of it behind.
  const known = [...new Set(spelled)].filter((spelling) => spelling !== '').sort((a, b) => b.length - a.length);
  const longest = Math.min(known[0]?.length ?? 0, MOST_CUT_CHARACTERS);
  const literals = known.map((literal) => literal.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`));
  // Without regard to case, for the digits of percent-encodings. Nothing at all, where there is no secret.
  return { spelling: new RegExp(literals.join('|') || '(?!)', 'gi'), longest };
}

/**
 * Makes a text of the identity provider fit for the log: at most 300 characters on one line, without the source's secrets
 * in any usual spelling, and without anything that looks like a token.
 */
export function createDetail(clientId: string, secrets: readonly Redacted[]): (text: string) => string {
  const { spelling, longest } = knownSecrets(clientId, secrets);
  return (text) => {
    let clean = text
      .slice(0, WINDOW_CHARACTERS)
      .replaceAll(spelling, SHOWN)
      .replaceAll(SECRET_STRING, `$1${SHOWN}`)
      .replaceAll(SECRET_FIELD, `$1${SHOWN}`)
      .replaceAll(CREDENTIALS, SHOWN)
      .replaceAll(JWT, SHOWN)
      .replaceAll(LONG_RUN, SHOWN)
      .replaceAll(CONTROL, ' ');
    // Where the window ends there may be the beginning of a secret, which nothing above recognises.
    if (text.length > WINDOW_CHARACTERS) clean = clean.slice(0, Math.max(0, clean.length - longest));
    return clean.slice(0, MAX_CHARACTERS);
  };
}

/** The same for calls that carry secrets of their own, such as a caller's token. */
export function createDetailOfCalls(
  clientId: string,
  secrets: readonly Redacted[],
): (given: readonly (Redacted | undefined)[]) => (text: string) => string {
  const ofSource = createDetail(clientId, secrets);
  return (given) => {
    const searched = given
      .filter((token) => token !== undefined)
      .filter((token) => token.reveal().length <= LONGEST_SEARCHED_CHARACTERS);
    // Made when there is something to tell: a failure is rare, and to prepare for one takes longer than a success.
    return searched.length === 0 ? ofSource : (text) => createDetail(clientId, [...secrets, ...searched])(text);
  };
}

/**
 * The second lock on what callers are told: a message is written by the broker and holds no secret; where it does all the
 * same, it is masked. At most 300 characters on one line.
 */
export function createMessageMask(clientId: string, secrets: readonly Redacted[]): (text: string) => string {
  const { spelling } = knownSecrets(clientId, secrets);
  return (text) =>
    text
      .slice(0, WINDOW_CHARACTERS)
      .replaceAll(spelling, SHOWN)
      .replaceAll(JWT, SHOWN)
      .replaceAll(CONTROL, ' ')
      .slice(0, MAX_CHARACTERS);
}

/** The lines of a PEM text, the strings of a JWK; none so long that a search for it is slow. */
function piecesOf(secret: string): string[] {
  return secret.split(/[\s"]+/).flatMap((piece) => (piece.length < 8 ? [] : (piece.match(/.{1,512}/gs) ?? [])));
}

function spellings(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    new URLSearchParams([['', secret]]).toString().slice(1),
    formEncoded(secret),
    Buffer.from(secret).toString('hex'),
    json,
    json.replaceAll('/', String.raw`\/`),
    htmlEscaped(secret),
  ];
}

/** As in RFC 6749 §2.3.1, with the strictness of the OAuth library. */
function formEncoded(text: string): string {
  return encodeURIComponent(text)
    .replaceAll(/[-_.!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

/** As the error pages of most servers write it. */
function htmlEscaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/**
 * What base64 makes of a text wherever it stands in a longer one: for each of the three alignments, the characters that
 * depend on the text alone.
 */
function base64Cores(text: string): string[] {
  const bytes = Buffer.from(text);
  // Shorter, a core would be found in ordinary words.
  if (bytes.length < 6) return [bytes.toString('base64'), bytes.toString('base64url')];
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const ragged = (offset + bytes.length) % 3 !== 0;
    const core = encoded.slice(offset === 0 ? 0 : offset + 1, ragged ? -1 : undefined);
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
