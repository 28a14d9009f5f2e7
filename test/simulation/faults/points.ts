/** Where the world can be struck: what has just happened, or is about to. */
const POINTS = [
  'redis:read:after',
  'redis:reserve:before',
  'redis:reserve:after',
  'redis:commit:before',
  'redis:commit:after',
  'redis:fail:before',
  'redis:revoke:before',
  'redis:revoke:after',
  'redis:confirm:before',
  'redis:confirm:after',
  'redis:lease:after',
  'redis:reject:after',
  'step:redis:reserve',
  'step:redis:commit',
  'step:idp:call',
  'step:redis:permit',
  'redis:permit:after',
  'redis:settle:before',
  'step:lock:release',
  'idp:called',
  'idp:issued',
  'committed',
  'floor-raised',
  'answered',
  'revocation-ordered',
  'revocation-returned',
  'message:get',
  'message:sync',
  'message:invalidation',
  'message:event',
  'message:heartbeat',
  'message:reply',
] as const;

/** Of worlds with refresh tokens. */
const REFRESH_TOKEN_POINTS = [
  'step:redis:journalSpend',
  'redis:journalSpend:after',
  'idp:arrived',
  'step:redis:journalSucceed',
  'redis:journalSucceed:before',
  'redis:journalSucceed:after',
  'redis:journalExhaust:before',
  'redis:journalExhaust:after',
  'redis:journalRelease:before',
  'redis:journalSeed:after',
] as const;

export type Point = (typeof POINTS)[number] | (typeof REFRESH_TOKEN_POINTS)[number];

/** Where a world of this shape can be struck. */
export function pointsOf(shape: { readonly refreshTokens: object | undefined }): readonly Point[] {
  return shape.refreshTokens === undefined ? POINTS : [...POINTS, ...REFRESH_TOKEN_POINTS];
}
