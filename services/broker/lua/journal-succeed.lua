-- succeed: the successor, after the provider has spent the token. It counts while its family and its place are still the
-- spent ones, whoever has taken over: the provider has made it, and may make no other.
-- ARGV 1 attempt, 2 family and 3 sequence of the spent token, 4 its successor, sealed
local attempt, family, sequence = ARGV[1], ARGV[2], number(ARGV[3])
-- Redis that is out of memory refuses a script before its first write, not after one that takes no memory: a successor must
-- not depend on room.
redis.call('HDEL', KEYS[1], 'none')
clearIntentOf(attempt, nameOf(family, sequence))
if not isThere or entry.family ~= family or entry.exhausted then return { 'replaced' } end
if entry.sequence == sequence + 1 and entry.succeededBy == attempt then
  -- Sent again after a lost reply. Written again, so that this connection has a write that replicas can confirm.
  redis.call('HSET', KEYS[1], 'succeededBy', attempt)
  return { 'ok' }
end
if entry.sequence ~= sequence then return { 'replaced' } end
redis.call('HSET', KEYS[1], 'sequence', text(sequence + 1), 'sealed', ARGV[4], 'changedAt', text(now), 'succeededBy', attempt)
return { 'ok' }
