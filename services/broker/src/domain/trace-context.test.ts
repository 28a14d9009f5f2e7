import { describe, expect, it } from 'vitest';
import { readTraceContext } from './trace-context.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, { traceId: TRACE, spanId: SPAN, isSampled: true, isRemote: true }],
    [`00-${TRACE}-${SPAN}-00`, { traceId: TRACE, spanId: SPAN, isSampled: false, isRemote: true }],
    [`00-${TRACE}-${SPAN}-03`, { traceId: TRACE, spanId: SPAN, isSampled: true, isRemote: true }],
    [`01-${TRACE}-${SPAN}-01-more`, { traceId: TRACE, spanId: SPAN, isSampled: true, isRemote: true }],
    [`00-${TRACE}-${SPAN}-01-more`, undefined],
    [`00-${TRACE}-${SPAN}`, undefined],
    [`00-${TRACE}-${SPAN}-0g`, undefined],
    [` 00-${TRACE}-${SPAN}-01`, undefined],
    [`ff-${TRACE}-${SPAN}-01`, undefined],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of %s is read so', (traceparent, context) => {
    expect(readTraceContext(traceparent)).toEqual(context);
  });

  it('has a tracestate beside it, unless that is empty or longer than has to be handed on', () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    expect(readTraceContext(traceparent, 'vendor=1,other=2')).toMatchObject({ state: 'vendor=1,other=2' });
    for (const state of ['', `vendor=${'x'.repeat(512)}`])
      expect(readTraceContext(traceparent, state)).not.toHaveProperty('state');
    expect(readTraceContext('nonsense', 'vendor=1')).toBeUndefined();
  });
});
