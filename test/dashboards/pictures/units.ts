import type { Unit } from '../model/dashboard.js';

/** A value as Grafana would write it, with three digits that count. */
export function inUnit(value: number, unit: Unit): string {
  switch (unit) {
    case 's':
    case 'dtdurations':
      return value < 1 ? `${short(value * 1_000)} ms` : `${short(value)} s`;
    case 'bytes':
      return value < 1_024 ? `${short(value)} B` : `${short(value / 1_024)} KiB`;
    case 'percentunit':
      return `${short(value * 100)} %`;
    case 'reqps':
      return `${short(value)}/s`;
    case 'short':
    case 'none':
      return short(value);
  }
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
