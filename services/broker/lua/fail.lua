-- fail: the call ended without a token. All brokers see the failure until its pause is over; pauses grow.
-- ARGV 8 attempt, 9 code, 10 message, 11 least pause, 12 first pause, 13 greatest pause (ms), 14 jitter in [0, 1)
local f = redis.call('HMGET', KEYS[6], 'attempt', 'failures', 'code', 'until')
if f[1] ~= ARGV[8] then return reply('gone', '0') end
if f[3] then return reply('ok', text(math.max(0, number(f[4]) - now))) end -- sent again after a lost reply
local failures = number(f[2]) + 1
local full = math.min(number(ARGV[13]), number(ARGV[12]) * 2 ^ math.min(failures - 1, 30))
local pause = math.floor(math.max(number(ARGV[11]), full / 2 + full / 2 * number(ARGV[14])))
redis.call('HSET', KEYS[6], 'failures', text(failures), 'code', ARGV[9], 'message', ARGV[10], 'until', text(now + pause))
redis.call('PEXPIRE', KEYS[6], pause + number(ARGV[13]))
return reply('ok', text(pause))
