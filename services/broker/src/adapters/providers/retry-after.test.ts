import { describe, expect, it } from 'vitest';
import { parseRetryAfter } from './retry-after.js';

const WALL_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

describe('parseRetryAfter', () => {
  it.each<[string, Readonly<Record<string, string>>, number | undefined]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['no pause', { 'retry-after': '0' }, 0],
    ['more seconds than a day has', { 'retry-after': '86401' }, DAY_MS],
    ['a number beyond all bounds', { 'retry-after': '9'.repeat(400) }, DAY_MS],
    ['a date, by our clock', { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [
      'a date, by the clock of the reply',
      { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT', date: 'Thu, 01 Jan 2026 00:00:20 GMT' },
      10_000,
    ],
    [
      'a date beside a clock that cannot be read',
      { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT', date: '1' },
      30_000,
    ],
    ['a date of the past', { 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    ['a date that is far away', { 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' }, DAY_MS],
    ['a day that no month has', { 'retry-after': 'Thu, 99 Jan 2026 00:00:30 GMT' }, undefined],
    ['a negative number', { 'retry-after': '-5' }, undefined],
    ['a fraction', { 'retry-after': '1.5' }, undefined],
    ['a word', { 'retry-after': 'soon' }, undefined],
    ['nothing', { 'retry-after': '' }, undefined],
    ['no header', {}, undefined],
  ])('reads %s', (_, headers, pauseMs) => {
    expect(parseRetryAfter(new Headers(headers), WALL_MS)).toBe(pauseMs);
  });
});
