-- Shared by the scripts of one slot, after the prelude.
-- KEYS 4 record (hash), 5 floor (string), 6 flight (hash), 7 channel (hash), 8 slots (zset: expiry in Redis ms)
-- ARGV 3 source, 4 provider, 5 recipe, 6 slot, 7 policy: the configuration version of the asking broker
local source, provider, recipe, slot, brokerPolicy = ARGV[3], ARGV[4], ARGV[5], ARGV[6], number(ARGV[7])

-- The greatest of the slot's floor and the cutoffs above it: generations at or below are dead.
local floor = number(redis.call('GET', KEYS[5]))
for _, cutoff in ipairs(redis.call('HMGET', KEYS[1], 'cutoff:all', 'cutoff:provider:' .. provider, 'cutoff:source:' .. source)) do
  floor = math.max(floor, number(cutoff))
end

-- What is not as we wrote it is set aside for whoever wants to look, not overwritten unseen.
local function setAside(key)
  redis.call('RENAME', key, key .. ':set-aside')
  redis.call('PEXPIRE', key .. ':set-aside', 86400000)
end

-- Fields of a hash; none of a key that is of another type than ours.
local function fieldsOf(key, ...)
  local fields = redis.pcall('HMGET', key, ...)
  if not fields.err then return fields end
  setAside(key)
  return {}
end

local fields = fieldsOf(KEYS[4], 'generation', 'epoch', 'expiresAt', 'usableUntil', 'recipe', 'sealed', 'attempt', 'hash', 'revoked')
-- No generation is above the last that was claimed: this one was not, and no commit could ever replace it.
if number(fields[1]) > generation then
  setAside(KEYS[4])
  fields = {}
end
local record = { generation = number(fields[1]), epoch = fields[2], expiresAt = number(fields[3]), usableUntil = number(fields[4]),
  recipe = fields[5], sealed = fields[6], attempt = fields[7], hash = fields[8], revoked = fields[9] }

-- Whether the record counts, for brokers with its recipe.
local function isUsable()
  return record.sealed and not record.revoked and record.epoch == epoch and record.generation > floor and record.usableUntil > now
end

local function isLive()
  return isUsable() and record.recipe == recipe
end

-- The channel key counts in its epoch, above the floor, and under the policy that it was made for. A broker with another
-- configuration than the cluster's newest is not given it.
local function channel()
  local c = fieldsOf(KEYS[7], 'version', 'epoch', 'policy', 'sealed')
  if brokerPolicy == policy and c[1] and c[2] == epoch and number(c[1]) > floor and number(c[3]) == policy then return c[1], c[4] end
  return '', ''
end

local function hit()
  local version, key = channel()
  return reply('hit', text(floor), text(record.generation), text(record.expiresAt), record.sealed, version, key)
end

-- The source has changed in a newer configuration than the asking broker's: it must not write any more.
local function isOutdated()
  return brokerPolicy < number(redis.call('HGET', KEYS[1], 'changed:' .. source))
end
