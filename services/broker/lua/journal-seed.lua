-- seed: a token that begins a family. One that has begun a family before is spent, unless nobody has spent it yet.
-- ARGV 1 family, 2 sealed, 3 hash of the token
local family, hash, seedsKept = ARGV[1], ARGV[3], 100
if isThere and entry.family == family then
  -- Sent again after a lost reply. Written again, so that this connection has a write that replicas can confirm.
  redis.call('HSET', KEYS[1], 'replaced', entry.replaced or '')
  return { 'ok', entry.replaced or '' }
end
local place = redis.pcall('ZSCORE', KEYS[2], hash)
if type(place) == 'table' and place.err then
  setAside(KEYS[2])
  place = false
end
local isCurrent = isThere and entry.seed == hash
if isCurrent then
  if entry.sequence > 0 or entry.exhausted then return { 'spent' } end
  -- Another family would lose the successor that is on its way.
  if intent.attempt then return { 'ok', '' } end
elseif place then
  return { 'spent' }
end
local replaced = isThere and not isCurrent and '1' or ''
local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'family', family, 'sequence', '0', 'sealed', ARGV[2], 'changedAt', text(now), 'seed', hash, 'replaced', replaced)
redis.call('ZADD', KEYS[2], text(number(newest) + 1), hash)
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - seedsKept)
return { 'ok', replaced }
