-- state: what operators see of a journal.
if not isThere then return { 'missing', '0', '0' } end
local kind = entry.exhausted and 'exhausted' or intent.untilMs > now and 'spending' or 'ready'
return { kind, text(entry.sequence), text(entry.changedAt) }
