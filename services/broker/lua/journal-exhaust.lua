-- exhaust: the provider refuses the token for good. Only the current one's refusal ends the family, and not while somebody
-- else has taken over, and will tell.
-- ARGV 1 attempt, 2 family and 3 sequence of the spent token
local spends = nameOf(ARGV[2], ARGV[3])
clearIntentOf(ARGV[1], spends)
if not isThere or nameOf(entry.family, entry.sequence) ~= spends or intent.attempt then return { 'moved' } end
redis.call('HSET', KEYS[1], 'exhausted', '1')
return { 'exhausted' }
