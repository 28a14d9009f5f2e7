import { describe, expect, it } from 'vitest';
import { authorise, type Grant } from './policy.js';

const OWN = { scopes: ['read'], audience: 'https://api.example.com', resource: 'urn:own' };
const NOTHING_MORE: Grant = { scopes: [], audiences: [] };

describe('a plain grant', () => {
  it('covers what the source asks for itself, named or not', () => {
    expect(authorise(NOTHING_MORE, OWN, {}).ok).toBe(true);
    const named = { scopes: ['read'], audience: OWN.audience, resource: OWN.resource };
    expect(authorise(NOTHING_MORE, OWN, named).ok).toBe(true);
  });

  it.each([
    ['scope', { scopes: ['read', 'write'] }, 'write'],
    ['scope', { scopes: ['READ'] }, 'READ'],
    ['audience', { audience: `${OWN.audience}/` }, `${OWN.audience}/`],
    ['resource', { resource: 'urn:other' }, 'urn:other'],
  ])('does not cover another %s, and names it', (what, asked, named) => {
    const result = authorise(NOTHING_MORE, OWN, asked);
    expect(result).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
    expect(result.ok ? '' : result.error.message).toContain(`${what} "${named}"`);
  });

  it('does not take the audience of the source for its resource', () => {
    expect(authorise(NOTHING_MORE, OWN, { resource: OWN.audience }).ok).toBe(false);
  });

  it('gives a source without an audience none', () => {
    expect(authorise(NOTHING_MORE, { scopes: [] }, { audience: 'any' }).ok).toBe(false);
  });
});

it('covers what is named beside the source’s own, and nothing else', () => {
  const grant: Grant = { scopes: ['write'], audiences: ['https://other.example.com'] };
  expect(authorise(grant, OWN, { scopes: ['read', 'write'], audience: 'https://other.example.com' }).ok).toBe(true);
  expect(authorise(grant, OWN, { scopes: ['admin'] }).ok).toBe(false);
  expect(authorise(grant, OWN, { audience: 'https://third.example.com' }).ok).toBe(false);
});

it('covers everything of a kind where it says any, and that kind only', () => {
  expect(authorise({ scopes: 'any', audiences: [] }, OWN, { scopes: ['admin'] }).ok).toBe(true);
  expect(authorise({ scopes: 'any', audiences: [] }, OWN, { audience: 'other' }).ok).toBe(false);
  expect(authorise({ scopes: [], audiences: 'any' }, OWN, { audience: 'other', resource: 'urn:x' }).ok).toBe(true);
  expect(authorise({ scopes: [], audiences: 'any' }, OWN, { scopes: ['admin'] }).ok).toBe(false);
});
