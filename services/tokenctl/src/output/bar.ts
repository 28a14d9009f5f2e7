import type { Style } from './style.js';

const WIDTH = 20;
/** From these shares on, a bar is shown as a warning, and as trouble. */
const [WARN_FROM, BAD_FROM] = [0.7, 0.9];

/** A bar of `used` in `limit`; what is used but for nothing shows at least one mark. */
export function bar(used: number, limit: number, style: Style): string {
  const share = limit === 0 ? (used > 0 ? 1 : 0) : Math.min(1, used / limit);
  const marks = used > 0 ? Math.max(1, Math.floor(share * WIDTH)) : 0;
  const full = '#'.repeat(marks);
  const coloured = share >= BAD_FROM ? style.bad(full) : share >= WARN_FROM ? style.warn(full) : style.good(full);
  return `[${coloured}${style.dim('.'.repeat(WIDTH - marks))}]`;
}
