-- Shared by the scripts of one upstream's budget, after the calendar. All times are ms of Redis's clock.
-- KEYS 1 state (hash), 2 calls (hash: account, first permit, latest arrival of each call that has not ended), 3 open (zset of
--      them: latest arrival), 4 ended (zset: when), 5 common and 6 reserve (zsets: until when each call may have arrived),
--      7 calendar (hash: calls by period and account), 8 what is known of the credential (hash)
local REMEMBERED = 600000 -- how long what has ended is remembered, and how long failures count as being in a row
local SLACK = 60000
local PRUNED = 1000 -- at most, by one script
local ACCOUNTS = { common = KEYS[5], reserve = KEYS[6] }

local function text(n) return string.format('%.0f', n) end
local function number(x) return tonumber(x or 0) or 0 end
-- A length of time, whole, and no longer than a year: what a provider asks for knows no bounds.
local function duration(x)
  local n = number(x)
  if n ~= n then return 0 end
  return math.min(math.max(0, math.ceil(n)), 366 * DAY)
end

local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
local now = math.floor(nowUs / 1000)

local f = redis.call('HMGET', KEYS[1], 'keep', 'keepUntil', 'pauseUntil', 'pauseCode', 'pauseMessage', 'throttles', 'failures',
  'opened', 'openUntil', 'failedCode', 'failedMessage', 'failuresUntil', 'probe', 'left', 'leftUntil')
-- keep: the longest window that anybody asked for, until it was not asked for that long.
local keep, keepUntil = number(f[1]), number(f[2])
local pause = { untilMs = number(f[3]), code = f[4] or '', message = f[5] or '', inARow = number(f[6]) }
local breaker = { failures = number(f[7]), opened = number(f[8]), untilMs = number(f[9]), code = f[10] or '',
  message = f[11] or '', inARowUntil = number(f[12]), probe = f[13] or '' }
-- left: calls that the provider says are left, less those that were permitted since; may be below zero.
local left, leftUntil = number(f[14]), number(f[15])
if keepUntil < now then keep = 0 end
if pause.untilMs + REMEMBERED < now then pause.inARow = 0 end
if breaker.inARowUntil < now then breaker = { failures = 0, opened = 0, untilMs = 0, code = '', message = '', probe = '' } end

local c = redis.call('HMGET', KEYS[8], 'refusals', 'until', 'code', 'message', 'probe')
local credential
if c[1] and number(c[2]) + REMEMBERED >= now then
  credential = { refusals = number(c[1]), untilMs = number(c[2]), code = c[3], message = c[4], probe = c[5] or '' }
end

-- A key lives as long as what it holds counts, and a little longer.
local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end

local function set(...)
  redis.call('HSET', KEYS[1], ...)
end

-- After the last change of the state.
local function keepState()
  local last = math.max(keepUntil, pause.untilMs + REMEMBERED, breaker.inARowUntil or 0, leftUntil, now)
  outlive(KEYS[1], last - now + SLACK)
end

-- A call that was permitted and has not ended.
local function callOf(name)
  local account, begun, untilMs = string.match(redis.call('HGET', KEYS[2], name) or '', '^(%a+) (%d+) (%d+)$')
  return account and { account = account, begun = number(begun), untilMs = number(untilMs) }
end

local function noteCall(name, account, begun, untilMs)
  redis.call('HSET', KEYS[2], name, account .. ' ' .. text(begun) .. ' ' .. text(untilMs))
  redis.call('ZADD', KEYS[3], text(untilMs), name)
  outlive(KEYS[2], untilMs - now + REMEMBERED + SLACK)
  outlive(KEYS[3], untilMs - now + REMEMBERED + SLACK)
end

-- Calls of a window are kept for the longest one that anybody asks for: replicas may differ for a while.
local function keepWindow(ms)
  if ms == 0 or ms < keep then return end
  keep, keepUntil = ms, now + ms
  set('keep', text(keep), 'keepUntil', text(keepUntil))
end

-- Counts a call in a window: it may have arrived until then.
local function noteArrival(account, call, untilMs)
  redis.call('ZADD', ACCOUNTS[account], text(untilMs), call)
  outlive(ACCOUNTS[account], math.max(0, untilMs - now) + keep + SLACK)
end

-- Counts a call in the period of a moment; a new period sweeps out those before the last.
local function charge(period, at, account, by)
  local field = period .. ':' .. text(periodOf(period, at)) .. ':' .. account
  if redis.call('HINCRBY', KEYS[7], field, by) ~= 1 then return end
  outlive(KEYS[7], math.max(0, endOfPeriod('month', at) - now) + DAY)
  for _, name in ipairs(redis.call('HKEYS', KEYS[7])) do
    local kind, ordinal = string.match(name, '^(%a+):(%d+):')
    if kind and number(ordinal) < periodOf(kind, now) - 1 then redis.call('HDEL', KEYS[7], name) end
  end
end

-- Calls of a window (a number of ms, 'day' or 'month') that count now.
local function used(window, account)
  if tonumber(window) then return redis.call('ZCOUNT', ACCOUNTS[account], text(now - number(window)), '+inf') end
  return number(redis.call('HGET', KEYS[7], window .. ':' .. text(periodOf(window, now)) .. ':' .. account))
end

local function openCalls() return redis.call('ZCOUNT', KEYS[3], text(now), '+inf') end
