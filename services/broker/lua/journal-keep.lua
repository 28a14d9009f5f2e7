-- keep: the provider gave no successor, and the token stays, sealed by the key that seals now. Its place stays too: another use
-- of it, of which Redis lost the intent, may have brought a successor that is still on its way.
-- ARGV 1 attempt, 2 family and 3 sequence of the spent token, 4 the same token, sealed
local family, spends = ARGV[2], nameOf(ARGV[2], ARGV[3])
-- As for a successor: it must not depend on room.
redis.call('HDEL', KEYS[1], 'none')
clearIntentOf(ARGV[1], spends)
if not isThere or entry.family ~= family or entry.exhausted then return { 'replaced' } end
if nameOf(family, entry.sequence) == spends then redis.call('HSET', KEYS[1], 'sealed', ARGV[4]) end
return { 'ok' }
