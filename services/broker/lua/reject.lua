-- reject: a resource server refused the token of this generation. Only the current generation dies, and not too often.
-- KEYS 9 limiter; ARGV 8 epoch, 9 generation, 10 least interval between two (ms), 11 life of a floor (ms)
if ARGV[8] ~= epoch or not isLive() or text(record.generation) ~= ARGV[9] then return reply('stale', text(floor)) end
if not redis.call('SET', KEYS[9], '1', 'NX', 'PX', ARGV[10]) then return reply('limited', text(floor)) end
redis.call('SET', KEYS[5], text(record.generation), 'PX', ARGV[11])
-- The hash of the token stays: a revocation that comes while it lives is one of this token too.
redis.call('HDEL', KEYS[4], 'sealed')
redis.call('HSET', KEYS[4], 'rejected', '1')
invalidate('slot:' .. slot, record.generation)
return reply('dropped', text(record.generation))
