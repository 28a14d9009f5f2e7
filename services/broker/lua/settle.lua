-- settle: the call has ended; it counts from now for one more window, and what it met holds for all replicas.
-- ARGV 1 call, 2 outcome, 3 code, 4 message, 5 pause that was asked for (ms), 6 jitter in [0, 1), 7 calls that are left, or ''
--      8 when there are more (ms), 9 longest window (ms)
local call, outcome, code, message, asked, uniform = ARGV[1], ARGV[2], ARGV[3], ARGV[4], duration(ARGV[5]), number(ARGV[6])
if redis.call('ZSCORE', KEYS[4], call) then return { 'ok' } end -- sent again after a lost reply

local known = callOf(call)
-- It has arrived before this very moment, which must not be rounded down; nor before its permit, where the clock went back.
local ended = math.max(math.ceil(nowUs / 1000), known and known.begun or 0)
redis.call('ZREM', KEYS[3], call) -- first: where Redis has no memory left, what follows a write is let through
redis.call('HDEL', KEYS[2], call)
redis.call('ZADD', KEYS[4], text(ended), call)
outlive(KEYS[4], REMEMBERED + SLACK)
keepWindow(number(ARGV[9]))

if outcome == 'not-made' then
  redis.call('ZREM', KEYS[5], call)
  redis.call('ZREM', KEYS[6], call)
  if known then
    for _, period in ipairs(PERIODS) do
      charge(period, known.begun, known.account, -1)
      if periodOf(period, known.untilMs) ~= periodOf(period, known.begun) then charge(period, known.untilMs, known.account, -1) end
    end
    if leftUntil > now then
      left = left + 1
      set('left', text(left))
    end
  end
else
  -- A call that nobody knows (its permit was lost by a failover) is counted again.
  local account = known and known.account or (redis.call('ZSCORE', KEYS[6], call) and 'reserve' or 'common')
  if keep > 0 then
    local before = not known and number(redis.call('ZSCORE', ACCOUNTS[account], call)) or 0
    noteArrival(account, call, math.max(ended, before))
  end
  for _, period in ipairs(PERIODS) do
    local at = periodOf(period, ended)
    local begun = known and periodOf(period, known.begun)
    local last = known and periodOf(period, known.untilMs)
    if last ~= begun and at == begun then
      charge(period, known.untilMs, account, -1) -- it did not arrive in the next period after all
    elseif at ~= begun and at ~= last then
      charge(period, ended, account, 1)
    end
  end
end

-- Between half and all of first * 2^(times - 1).
local function growing(firstPause, greatest, times)
  local full = math.min(greatest, firstPause * 2 ^ math.min(times - 1, 30))
  return math.floor(full / 2 + full / 2 * uniform)
end

local function pauseFor(ms, withCode)
  if now + ms <= pause.untilMs then return end
  pause.untilMs = now + ms
  -- Pauses that were forgotten stay so: the new end must not bring their number back.
  set('pauseUntil', text(pause.untilMs), 'pauseCode', withCode, 'pauseMessage', message, 'throttles', text(pause.inARow))
end

local function closeBreaker()
  if breaker.failures == 0 and breaker.opened == 0 then return end
  redis.call('HDEL', KEYS[1], 'failures', 'opened', 'openUntil', 'failedCode', 'failedMessage', 'failuresUntil', 'probe')
  breaker.inARowUntil = 0
end

if outcome == 'answered' then
  if pause.untilMs <= now then redis.call('HDEL', KEYS[1], 'throttles') end
  closeBreaker()
  if credential then redis.call('DEL', KEYS[8]) end
elseif outcome == 'throttled' then
  closeBreaker()
  -- One pause grows the next, however many calls were told of it.
  local backoff = 0
  if pause.untilMs <= now then
    pause.inARow = pause.inARow + 1
    backoff = growing(1000, 60000, pause.inARow)
  end
  pauseFor(math.max(asked, backoff), 'QUOTA_EXHAUSTED')
elseif outcome == 'unavailable' then
  if asked > 0 then pauseFor(asked, code) end
  breaker.failures = breaker.failures + 1
  -- While it is open, only the probe says something new.
  local opens = breaker.failures >= 5
  if breaker.opened > 0 then opens = breaker.probe == call end
  if opens then
    breaker.opened = breaker.opened + 1
    breaker.untilMs = now + math.max(asked, growing(1000, 30000, breaker.opened))
    breaker.probe = ''
  end
  breaker.inARowUntil = math.max(now, breaker.untilMs) + REMEMBERED
  set('failures', text(breaker.failures), 'opened', text(breaker.opened), 'openUntil', text(breaker.untilMs), 'failedCode', code,
    'failedMessage', message, 'failuresUntil', text(breaker.inARowUntil), 'probe', breaker.probe)
elseif outcome == 'credential-refused' then
  closeBreaker()
  if not credential or credential.probe == call then
    local refusals = (credential and credential.refusals or 0) + 1
    local ms = growing(5000, 600000, refusals)
    redis.call('HSET', KEYS[8], 'refusals', text(refusals), 'until', text(now + ms), 'code', code, 'message', message, 'probe', '')
    redis.call('PEXPIRE', KEYS[8], text(ms + REMEMBERED + SLACK))
  end
end

-- Never raised before the reset that it was said with: calls that are under way may not be counted in it yet.
local reset = duration(ARGV[8])
if ARGV[7] ~= '' and reset > 0 then
  local remaining = math.floor(number(ARGV[7])) - openCalls()
  if leftUntil <= now then
    left, leftUntil = remaining, now + reset
    set('left', text(left), 'leftUntil', text(leftUntil))
  elseif remaining < left then
    left, leftUntil = remaining, math.max(leftUntil, now + reset)
    set('left', text(left), 'leftUntil', text(leftUntil))
  end
end
keepState()
return { 'ok' }
