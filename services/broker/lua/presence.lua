-- presence: near caches that are connected, each until a time. KEYS 1 zset; ARGV 1 near cache or '', 2 ttl (ms), 0: it has left
local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if ARGV[1] ~= '' then
  if ARGV[2] == '0' then
    redis.call('ZREM', KEYS[1], ARGV[1])
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
  end
  return {}
end
local rows = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
rows[#rows + 1] = string.format('%.0f', now)
return rows
