-- permit: may this call be made now? Until it is settled, it counts as if it could arrive at any time within callMs.
-- Everything is decided before the first write, which takes memory: Redis that has none refuses the whole.
-- ARGV 1 call, 2 callMs, 3 the account that is charged first, then of each limit: window, ceiling of common, of reserve
local call, callMs, first = ARGV[1], duration(ARGV[2]), ARGV[3]
local untilMs = now + callMs
local PROBE_WAIT = 1000 -- a probe may end sooner than it must: nobody is told to wait longer for it

local known = callOf(call)
if known and known.untilMs >= now then
  -- Sent again after a lost reply: the same permit, and the call may arrive later than was said first.
  if untilMs > known.untilMs then
    noteCall(call, known.account, known.begun, untilMs)
    if redis.call('ZSCORE', ACCOUNTS[known.account], call) then noteArrival(known.account, call, untilMs) end
    for _, period in ipairs(PERIODS) do
      if periodOf(period, untilMs) ~= periodOf(period, known.untilMs) then charge(period, untilMs, known.account, 1) end
    end
  end
  return { 'go' }
end
if known or redis.call('ZSCORE', KEYS[4], call) then
  return { 'refused', 'limit', 'QUOTA_EXHAUSTED', 'this call has ended', text(PROBE_WAIT) }
end

-- Of all that refuses, what lasts longest is the answer: nobody is told to come back before all of it is over.
local refusal
local function refuse(why, code, message, at)
  if at > now and (not refusal or at > refusal.at) then refusal = { why = why, code = code, message = message, at = at } end
end

-- Until when the probe of something that was closed keeps others from trying.
local function probing(name)
  local probe = callOf(name)
  if not probe or probe.untilMs < now then return 0 end
  return math.min(probe.untilMs + 1, now + PROBE_WAIT)
end

if credential then
  refuse('credential', credential.code, credential.message,
    credential.untilMs > now and credential.untilMs or probing(credential.probe))
end
refuse('paused', pause.code, pause.message, pause.untilMs)
if left <= 0 then refuse('paused', 'QUOTA_EXHAUSTED', 'the provider has no calls left', leftUntil) end
if breaker.opened > 0 then
  refuse('breaker', breaker.code, breaker.message, breaker.untilMs > now and breaker.untilMs or probing(breaker.probe))
end

local limits, longest, atLeast = {}, 0, now
for i = 4, #ARGV, 3 do
  local window = ARGV[i]
  limits[#limits + 1] = { window = window, common = number(ARGV[i + 1]), reserve = number(ARGV[i + 2]) }
  if tonumber(window) then
    longest = math.max(longest, number(window))
    atLeast = math.max(atLeast, now + number(window) + 1)
  else
    atLeast = math.max(atLeast, endOfPeriod(window, now))
  end
end

-- When a call may be charged to this account of a limit; nil: never.
local function freeAt(limit, account)
  local ceiling = limit[account]
  if ceiling <= 0 then return nil end
  if used(limit.window, account) < ceiling then return now end
  if not tonumber(limit.window) then return endOfPeriod(limit.window, now) end
  local latest = redis.call('ZRANGE', ACCOUNTS[account], text(-ceiling), text(-ceiling), 'WITHSCORES')
  return number(latest[2]) + number(limit.window) + 1
end

-- The first account for which every limit admits the call.
local charged, earliest
for _, account in ipairs({ first, first == 'common' and 'reserve' or 'common' }) do
  local at = now
  for _, limit in ipairs(limits) do
    local free = freeAt(limit, account)
    at = at and free and math.max(at, free)
  end
  if at == now then
    charged = account
    break
  end
  earliest = at and math.min(earliest or at, at) or earliest
end
if not charged then refuse('limit', 'QUOTA_EXHAUSTED', 'the quota is used up', earliest or atLeast) end
if refusal then return { 'refused', refusal.why, refusal.code, refusal.message, text(refusal.at - now) } end

noteCall(call, charged, now, untilMs)
keepWindow(longest)
if keep > 0 then noteArrival(charged, call, untilMs) end
for _, period in ipairs(PERIODS) do
  charge(period, now, charged, 1)
  -- Until it has ended it may arrive in the next period.
  if periodOf(period, untilMs) ~= periodOf(period, now) then charge(period, untilMs, charged, 1) end
end
if leftUntil > now then set('left', text(left - 1)) end
if breaker.opened > 0 then set('probe', call) end
if credential then redis.call('HSET', KEYS[8], 'probe', call) end
keepState()

local function prune(key, before)
  local old = redis.call('ZCOUNT', key, '-inf', '(' .. text(before))
  if old > 0 then redis.call('ZREMRANGEBYRANK', key, 0, math.min(old, PRUNED) - 1) end
end
local lost = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now - REMEMBERED), 'LIMIT', 0, 100)
if #lost > 0 then
  redis.call('HDEL', KEYS[2], unpack(lost))
  redis.call('ZREM', KEYS[3], unpack(lost))
end
prune(KEYS[4], now - REMEMBERED)
prune(KEYS[5], now - keep)
prune(KEYS[6], now - keep)
return { 'go' }
