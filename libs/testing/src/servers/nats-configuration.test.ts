import { describe, expect, it } from 'vitest';
import { natsAuthorization } from './nats-configuration.js';

describe('natsAuthorization', () => {
  it('quotes what would end a string, and says "nothing" as a denial of everything', () => {
    const text = natsAuthorization([{ user: 'a"b\\', password: '$1', permissions: { publish: [], subscribe: ['>'] } }]);
    expect(text).toContain(
      String.raw`{ user: "a\"b\\", password: "$1", permissions: { publish: { deny: [">"] }, subscribe: { allow: [">"] } } }`,
    );
  });

  it('refuses what the format cannot carry', () => {
    expect(() => natsAuthorization([{ user: 'a\nb', password: 'x' }])).toThrow(/control characters/);
  });
});
