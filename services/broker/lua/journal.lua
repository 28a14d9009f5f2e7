-- Shared by the scripts of a journal of refresh tokens: one source's line at one upstream. The journal has no life of its
-- own that ends: a refresh token that is forgotten is one that an operator must put there again.
-- KEYS 1 journal (hash), 2 seeds (zset: hashes of the tokens that began a family, in their order)
-- Of the token: family, sequence, sealed, changedAt, seed, replaced, exhausted, succeededBy.
-- Of the intent to spend it: attempt, spends (which token), until, callMs, calledAt (since when its owner is called for).
local function text(n) return string.format('%.0f', n) end
local function number(x) return tonumber(x or 0) or 0 end

local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2]) / 1000)

-- What is not as we wrote it is set aside for whoever wants to look, not overwritten unseen.
local function setAside(key)
  redis.call('RENAME', key, key .. ':set-aside')
  redis.call('PEXPIRE', key .. ':set-aside', 86400000)
end

local fields = redis.pcall('HMGET', KEYS[1], 'family', 'sequence', 'sealed', 'changedAt', 'seed', 'replaced', 'exhausted',
  'succeededBy', 'attempt', 'spends', 'until', 'callMs', 'calledAt')
if fields.err then
  setAside(KEYS[1])
  fields = {}
end
local entry = { family = fields[1], sequence = number(fields[2]), sealed = fields[3], changedAt = number(fields[4]),
  seed = fields[5], replaced = fields[6], exhausted = fields[7], succeededBy = fields[8] }
local intent = { attempt = fields[9], spends = fields[10], untilMs = number(fields[11]), callMs = number(fields[12]),
  calledAt = number(fields[13]) }
local isThere = entry.family and entry.sealed

local function nameOf(family, sequence) return family .. ':' .. text(number(sequence)) end

-- An intent for another token than the spent one is a later one: it stays.
local function clearIntentOf(attempt, spends)
  if intent.attempt ~= attempt or (spends and intent.spends ~= spends) then return end
  redis.call('HDEL', KEYS[1], 'attempt', 'spends', 'until', 'callMs', 'calledAt')
  intent = {}
end
