-- budget-state: where the budget stands; nothing is written. ARGV windows
local paused = math.max(pause.untilMs, left <= 0 and leftUntil or 0)
local standing = 'closed'
if breaker.opened > 0 then standing = breaker.untilMs > now and 'open' or 'half-open' end
local reply = { text(openCalls()), text(math.max(0, paused - now)), standing,
  text(math.max(0, (credential and credential.untilMs or 0) - now)) }
for _, window in ipairs(ARGV) do
  reply[#reply + 1] = text(used(window, 'common'))
  reply[#reply + 1] = text(used(window, 'reserve'))
end
return reply
