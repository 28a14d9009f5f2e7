-- spend: the intent, before the provider sees the token. An owner whose time is over is called for first, and given the
-- time to tell its outcome: one that is alive and could not reach Redis sends it again at least twice in that time.
-- ARGV 1 attempt, 2 callMs
local attempt, callMs, callForOwnerMs = ARGV[1], number(ARGV[2]), 1000
if not isThere then return { 'missing' } end
if entry.exhausted then return { 'exhausted', entry.family } end
local spends = nameOf(entry.family, entry.sequence)

local function busy(untilMs, calledAt, remainingMs)
  if untilMs ~= intent.untilMs or calledAt ~= intent.calledAt then
    redis.call('HSET', KEYS[1], 'until', text(untilMs), 'calledAt', text(calledAt))
  end
  return { 'busy', text(remainingMs) }
end

if intent.attempt and intent.attempt ~= attempt then
  -- The clock of another server may be behind: nobody waits for longer than a call takes.
  local untilMs = math.min(intent.untilMs, now + intent.callMs)
  if untilMs > now then return busy(untilMs, intent.calledAt, untilMs - now) end
  if intent.calledAt == 0 or intent.calledAt > now then return busy(untilMs, now, callForOwnerMs) end
  local goneMs = now - intent.calledAt
  if goneMs < callForOwnerMs then return busy(untilMs, intent.calledAt, callForOwnerMs - goneMs) end
end
if intent.attempt ~= attempt or intent.spends ~= spends then
  redis.call('HSET', KEYS[1], 'attempt', attempt, 'spends', spends, 'until', text(now + callMs), 'callMs', text(callMs),
    'calledAt', '0')
end
return { 'spend', entry.family, text(entry.sequence), entry.sealed }
