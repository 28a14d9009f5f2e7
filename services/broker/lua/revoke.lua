-- revoke: everything that was claimed so far, or up to a generation, is dead, flights in the air included; what is claimed
-- later is above.
-- KEYS 4 the revocation's own note; 5 record, 6 floor, 7 flight, 8 channel, 9 slots: of a slot, else unused
-- ARGV 3 target (slot:X, source:X, provider:X, all), 4 life of a floor (ms), 5 policy, where a configuration revokes,
--      6 the generation up to which everything is dead, or '': everything that was claimed so far
-- Redis that is out of memory refuses a script before its first write, not after one that takes no memory: a revocation must
-- not depend on room.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now))
local target = ARGV[3]
local note = redis.call('GET', KEYS[4]) or ''
local seenEpoch, seenFloor, seenVseq, seenReplaced = string.match(note, '^(%d+):(%d+):(%d+):(%d+)$')
local floor, at, replaced
if seenEpoch == epoch then
  floor, at, replaced = number(seenFloor), number(seenVseq), number(seenReplaced) -- sent again after a lost reply: the same revocation
else
  -- Nothing above what was claimed: a floor of the future would kill what is fetched from here on.
  floor = ARGV[6] ~= '' and math.min(number(ARGV[6]), generation) or nextGeneration()
  local slot = string.match(target, '^slot:(.+)$')
  -- Whether the generation in this hash is dead by it; what is no hash of ours is.
  local function dies(key, field) return ARGV[6] == '' or number(redis.pcall('HGET', key, field)) <= floor end
  if slot then
    replaced = number(redis.call('GET', KEYS[6]))
    floor = math.max(floor, replaced)
    redis.call('SET', KEYS[6], text(floor), 'PX', ARGV[4])
    local isOver = true
    if not dies(KEYS[5], 'generation') then
      isOver = false
    -- The hash of the token stays until it would have expired, so that the same token is not taken again.
    elseif redis.call('TYPE', KEYS[5]).ok == 'hash' then
      redis.call('HSET', KEYS[5], 'revoked', '1')
      redis.call('HDEL', KEYS[5], 'sealed')
    else
      redis.call('DEL', KEYS[5])
    end
    if dies(KEYS[7], 'generation') then redis.call('DEL', KEYS[7]) else isOver = false end
    if dies(KEYS[8], 'version') then redis.call('DEL', KEYS[8]) end
    if isOver then redis.call('ZREM', KEYS[9], slot) end
  else
    replaced = number(redis.call('HGET', KEYS[1], 'cutoff:' .. target))
    floor = math.max(floor, replaced)
    redis.call('HSET', KEYS[1], 'cutoff:' .. target, text(floor))
  end
  invalidate(target, floor)
  at = vseq
end
local source = string.match(target, '^source:(.+)$')
if source and ARGV[5] ~= '' and number(ARGV[5]) > number(redis.call('HGET', KEYS[1], 'changed:' .. source)) then
  redis.call('HSET', KEYS[1], 'changed:' .. source, ARGV[5])
end
redis.call('SET', KEYS[4], epoch .. ':' .. text(floor) .. ':' .. text(at) .. ':' .. text(replaced), 'PX', 600000)
local brokers = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now), '+inf')
return reply('ok', text(floor), text(at), text(epochBeganMs), text(replaced), unpack(brokers))
