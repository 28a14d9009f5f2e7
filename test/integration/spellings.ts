/** Something that was seen, and where. */
export interface Seen {
  readonly where: string;
  readonly bytes: Uint8Array;
}

/** Each way in which a secret could be spelt, with a name for it. Those that look the same count once. */
export function spellingsOf(secret: string): ReadonlyMap<string, string> {
  const named: (readonly [string, string])[] = [
    ['raw', secret],
    ['in JSON', inJson(secret)],
    ['in JSON in JSON', inJson(inJson(secret))],
    ['percent-encoded', encodeURIComponent(secret)],
    ['form-encoded', new URLSearchParams([['', secret]]).toString().slice(1)],
    ['hex', Buffer.from(secret).toString('hex')],
    ['HEX', Buffer.from(secret).toString('hex').toUpperCase()],
  ];
  for (const encoding of ['base64', 'base64url'] as const)
    for (const offset of [0, 1, 2]) named.push([`${encoding} at ${String(offset)}`, aligned(secret, encoding, offset)]);
  return new Map(named.map(([name, spelling]) => [spelling, name] as const).reverse());
}

/** Searches many texts for the same secrets. */
export class SecretSearch {
  readonly #spellings: readonly (readonly [Buffer, string])[];

  constructor(secrets: readonly string[]) {
    this.#spellings = secrets.flatMap((secret, index) =>
      [...spellingsOf(secret)].map(
        ([spelling, name]) => [Buffer.from(spelling), `secret ${String(index)}, ${name}`] as const,
      ),
    );
  }

  /** Which of the secrets the bytes hold, and how they are spelt there; never the secrets themselves. */
  in(bytes: Uint8Array): string[] {
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#spellings.filter(([spelling]) => haystack.includes(spelling)).map(([, name]) => name);
  }
}

/** Where any of the secrets was found, and how it was spelt. */
export function leaks(places: readonly Seen[], secrets: readonly string[]): string[] {
  const search = new SecretSearch(secrets);
  return places.flatMap(({ where, bytes }) => search.in(bytes).map((found) => `${where}: ${found}`));
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** What stands in base64 of any text with the secret at this offset: the characters that its neighbours do not touch. */
function aligned(secret: string, encoding: 'base64' | 'base64url', offset: number): string {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor((bytes.length * 8) / 6);
  return bytes.toString(encoding).slice(first, last);
}
