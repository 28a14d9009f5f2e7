-- Shared by every script of a partition: all keys carry one hash tag, so that one script sees all of the partition.
-- KEYS 1 meta (hash), 2 log (stream), 3 brokers (zset: until when each has a lease, Redis ms)
-- ARGV 1 greatest epoch and 2 greatest generation that the asking broker has ever seen in this partition
-- Numbers are integers below 2^53; Lua prints large ones in exponents unless they are formatted.
local function text(n) return string.format('%.0f', n) end
local function number(x) return tonumber(x or 0) or 0 end

local time = redis.call('TIME')
local nowUs = time[1] * 1000000 + time[2]
local now = math.floor(nowUs / 1000)
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'replid', 'generation', 'vseq', 'epochBeganMs', 'policy', 'paused')
local epoch, generation, vseq, epochBeganMs, policy = meta[1], number(meta[3]), number(meta[4]), number(meta[5]), number(meta[6])
-- Sources that an operator has paused, each with since when: ` a=1700000000000 b=1700000000001`. They outlive epochs.
local paused = meta[7] or ''

-- Adopt: a restart, a promotion or an emptied server begins a new epoch, above all that anybody has seen. Records of the
-- old epoch are misses from here on; generations go on, so that no client ever steps back.
if not epoch or meta[2] ~= replid then
  epoch = text(math.max(nowUs, number(epoch) + 1, number(ARGV[1]) + 1))
  generation = math.max(nowUs, generation + 1, number(ARGV[2]) + 1)
  vseq, epochBeganMs = 0, now
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'replid', replid, 'generation', text(generation), 'vseq', '0',
    'epochBeganMs', text(now))
  redis.call('DEL', KEYS[2], KEYS[3])
end

-- A hybrid logical clock: time in microseconds, never backwards, never twice.
local function nextGeneration()
  generation = math.max(generation + 1, nowUs)
  redis.call('HSET', KEYS[1], 'generation', text(generation))
  return generation
end

-- Every reply: what happened, and as of when it is true.
local function reply(tag, ...) return { tag, epoch, text(vseq), text(now), ... } end

-- Numbers an invalidation and keeps it for those who missed its event. Commits are not numbered: they invalidate nothing.
local function invalidate(target, floor)
  vseq = vseq + 1
  redis.call('HSET', KEYS[1], 'vseq', text(vseq))
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, text(vseq) .. '-0', 'target', target, 'floor', text(floor))
end
