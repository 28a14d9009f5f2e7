import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Redacted } from './redacted.js';

const CANARY = 'canary-5f3c9a';

/** Every way in which a value comes to be printed. */
const WAYS: Readonly<Record<string, (secret: Redacted<string | Uint8Array>) => string>> = {
  'String()': (secret) => String(secret),
  'a template literal': (secret) => `the secret is ${secret.toString()}`,
  concatenation: (secret) => ['', secret].join('secret: '),
  'JSON.stringify': (secret) => JSON.stringify({ nested: [secret] }, undefined, 2),
  'util.inspect': (secret) => inspect({ nested: [secret] }, { depth: 9, showHidden: true, getters: true }),
  'util.inspect without its own form': (secret) => inspect(secret, { customInspect: false, showHidden: true }),
  'util.format': (secret) => format('%s %o %O %j %d', secret, secret, secret, secret, secret),
  'the console': (secret) => printed((console) => console.log('secret:', secret, { secret }, [secret])),
  'console.table': (secret) => printed((console) => console.table([{ secret }])),
  'console.dir': (secret) => printed((console) => console.dir({ secret }, { showHidden: true, depth: 9 })),
  'an error': (secret) => inspect(new Error(`refused ${String(secret)}`, { cause: { secret } })),
  'its own properties': (secret) =>
    JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret).map(String), Object.assign({}, secret)]),
  'a copy': (secret) => inspect(structuredClone({ secret })),
};

function printed(print: (console: Console) => void): string {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  print(new Console(stream));
  return text;
}

describe('Redacted', () => {
  it.each(Object.keys(WAYS))('is not shown by %s', (way) => {
    const bytes = new Uint8Array(Buffer.from(CANARY));
    const shown = [WAYS[way]?.(new Redacted(CANARY)), WAYS[way]?.(new Redacted(bytes))].join(' ');
    expect(shown).not.toContain(CANARY);
    expect(shown).not.toContain([...bytes].slice(0, 4).join(','));
    expect(shown).not.toContain([...bytes].slice(0, 4).join(', '));
    expect(shown).not.toContain(Buffer.from(bytes).toString('hex').slice(0, 8));
  });

  it.each(['String()', 'JSON.stringify', 'util.inspect', 'the console'])('says so in %s', (way) => {
    expect(WAYS[way]?.(new Redacted(CANARY))).toContain('<redacted>');
  });

  it('reveals what it was given, and nothing else does', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), (value) => {
        const secret = new Redacted(value);
        expect(secret.reveal()).toBe(value);
        expect(inspect(secret)).toBe('<redacted>');
      }),
    );
  });
});
