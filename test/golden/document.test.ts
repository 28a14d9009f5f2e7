import { readFileSync } from 'node:fs';
import { formatProblems, natsPermissions, parseConfiguration } from '@token-broker/configuration';
import { decode, ERRORS, LIMITS } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { fieldsOf, schemas, slotVectors, subjectVectors } from './contract.js';

/** `docs/protocol.md` is the contract for clients in other languages: what it says has to be what the code does. */
const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** What follows the comment `<!-- name -->`, up to the next heading or comment. */
function marked(name: string): string {
  const marker = `<!-- ${name} -->`;
  const [, ...after] = page.split(marker);
  if (after.length !== 1) throw new Error(`docs/protocol.md has ${String(after.length)} times ${marker}`);
  return after.join('').split(/^(?:#+ |<!-- )/m)[0] ?? '';
}

/** The rows of the first table in a text, without its head; cells without their back-ticks. */
function rows(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const bare = (cell = ''): string => cell.replaceAll('`', '');
const markers = [...page.matchAll(/<!-- (fields|example): ([a-z-]+) -->/g)].map(([, kind = '', name = '']) => ({
  kind,
  name,
}));

describe('docs/protocol.md', () => {
  it('lists every error code, with what the table of the code says of it', () => {
    const written = rows(marked('errors')).map(([code, retryable, http, remedy]) => ({
      code: bare(code),
      retryable: retryable === 'yes',
      httpStatus: Number(http),
      remedy,
    }));
    expect(written).toEqual(Object.entries(ERRORS).map(([code, entry]) => ({ code, ...entry })));
  });

  it('lists every limit, with its value', () => {
    const written = rows(marked('limits')).map(([name, value]) => [bare(name), Number(value)]);
    expect(Object.fromEntries(written)).toEqual(LIMITS);
  });

  it('computes the slot of its example as the code does', () => {
    const written = rows(marked('worked example')).map(([, value]) => bare(value));
    const vector = slotVectors().find(({ canonical }) => canonical === written[0]);
    expect(vector).toMatchObject({
      source: 'payments-api',
      parameters: { scopes: ['payments:read', 'payments:export'], audience: 'https://payments.example.com' },
    });
    expect(written.slice(1)).toEqual([vector?.slot, String(vector?.partitionOf16)]);
  });

  it('names subjects as the code does', () => {
    const written = rows(marked('subject hashes')).map((cells) => cells.map(bare));
    const expected = subjectVectors()
      .filter(({ subjectToken }) => subjectToken.length > 4)
      .map(({ subjectToken, actorToken, subjectHash }) => [subjectToken, actorToken ?? '', subjectHash]);
    expect(expected).toHaveLength(3);
    expect(written).toEqual(expected);
  });

  it('has a table of fields for every message with fields of its own', () => {
    const withTable = new Set(markers.filter(({ kind }) => kind === 'fields').map(({ name }) => name));
    const without = [...schemas].flatMap(([name, schema]) => {
      const own = fieldsOf(schema).filter((field) => field !== 'v');
      return own.length > 0 && !withTable.has(name) ? [name] : [];
    });
    // These are described in the rows of the messages that they are a part of, and in the section on errors.
    expect(without.sort()).toEqual(['channel', 'failure-reply', 'timing']);
  });

  it.each(markers.filter(({ kind }) => kind === 'fields'))(
    'lists the fields of $name: all, and no others',
    ({ name }) => {
      const schema = schemas.get(name);
      if (schema === undefined) throw new Error(`there is no message ${name}`);
      const written = rows(marked(`fields: ${name}`)).map(([field]) => bare(field));
      expect(written.toSorted()).toEqual(fieldsOf(schema).toSorted());
      for (const [field, , meaning = ''] of rows(marked(`fields: ${name}`)))
        expect(meaning.length, field).toBeGreaterThan(3);
    },
  );

  it.each(markers.filter(({ kind }) => kind === 'example'))('shows a $name that decodes', ({ name }) => {
    const schema = schemas.get(name);
    const [, json] = /```json\n(.*?)```/s.exec(marked(`example: ${name}`)) ?? [];
    if (schema === undefined || json === undefined) throw new Error(`no message or no JSON: ${name}`);
    expect(decode(schema, Buffer.from(json), LIMITS.requestBytes)).toMatchObject({ ok: true });
  });

  it('shows the permissions that follow from its configuration', async () => {
    const text = [
      'nats: { servers: [a], user: broker, password: p, events: { user: broker-events, password: p } }',
      'redis: { url: "redis://a" }',
      `encryption: { keys: [{ id: k, secret: "${'0f'.repeat(32)}" }] }`,
      'sources: { payments-api: { provider: oauth2, issuer: "https://idp", clientId: c, clientSecret: s } }',
      'callers: { orders: { sources: [payments-api] }, ops: { sources: "*", admin: true } }',
    ].join('\n');
    const parsed = await parseConfiguration(text, { env: {} });
    if (!parsed.ok) throw new Error(formatProblems(parsed.error.problems, 'test'));
    const expected = natsPermissions(parsed.value.configuration).flatMap(({ user, publish, subscribe }) => [
      user,
      ...publish.map((subject) => `  publish   ${subject}`),
      ...subscribe.map((subject) => `  subscribe ${subject}`),
    ]);
    const [, written] = /```text\n(.*?)```/s.exec(marked('permissions')) ?? [];
    expect(written?.trimEnd().split('\n')).toEqual(expected);
  });
});
