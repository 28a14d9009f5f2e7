-- reserve: the re-read under the lock, and the claim of a generation. It holds G1 also where the lock was lost: the flight
-- is noted beside it, and others are told `busy` until the call's time is over.
-- ARGV 8 want: a live record above this generation is the answer, 9 floor that the lock is named by, 10 attempt, 11 callMs
local want, lockFloor, attempt, callMs = number(ARGV[8]), ARGV[9], ARGV[10], number(ARGV[11])
if isOutdated() then return reply('policy') end
if isLive() and record.generation > want then return hit() end
-- What is held goes on, and nothing new is fetched.
if string.find(paused, ' ' .. source .. '=', 1, true) then return reply('paused') end
if text(floor) ~= lockFloor then return reply('relock', text(floor)) end

local f = fieldsOf(KEYS[6], 'attempt', 'generation', 'until', 'epoch', 'recipe', 'code', 'message')
local flight = { attempt = f[1], generation = number(f[2]), untilMs = number(f[3]), epoch = f[4], recipe = f[5], code = f[6], message = f[7] }
local mine = flight.attempt == attempt and flight.epoch == epoch and flight.generation > floor
if flight.recipe == recipe and flight.untilMs > now then
  if flight.code then return reply('failed', flight.code, flight.message, text(flight.untilMs - now)) end
  if not mine and flight.epoch == epoch and flight.generation > floor then return reply('busy', text(flight.untilMs - now)) end
end
-- Whether what is to be fetched takes the place of a token that was revoked, or refused, before its time.
local refetch = fields[1] and record.generation <= floor and '1' or ''
if mine and not flight.code then return reply('go', text(flight.generation), refetch) end -- sent again after a lost reply

local claimed = nextGeneration()
if flight.recipe ~= recipe then redis.call('DEL', KEYS[6]) end
redis.call('HDEL', KEYS[6], 'code', 'message')
redis.call('HSET', KEYS[6], 'attempt', attempt, 'generation', text(claimed), 'until', text(now + callMs), 'epoch', epoch, 'recipe', recipe,
  'source', source, 'provider', provider)
redis.call('PEXPIRE', KEYS[6], callMs + 60000)
-- Whoever looks for what is in the air finds it as long as its note is there: also the call of a process that is suspended.
redis.call('ZADD', KEYS[8], 'GT', text(now + callMs + 60000), slot)
return reply('go', text(claimed), refetch)
