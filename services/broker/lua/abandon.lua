-- abandon: the reserved call is not made after all; the slot is free again, and its failures stay counted. ARGV 8 attempt
local f = redis.call('HMGET', KEYS[6], 'attempt', 'code')
if f[1] ~= ARGV[8] or f[2] then return reply('gone') end
redis.call('HSET', KEYS[6], 'until', '0')
return reply('ok')
