-- lease: this broker reads along until now + leaseMs; a revocation waits for it that long. It writes, so that a master that
-- was cut off refuses it. Without a broker: a near cache's look at what it missed, which promises nothing.
-- ARGV 3 broker or '', 4 leaseMs, 5 epoch and 6 vseq that the asker has applied
if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now))
  redis.call('ZADD', KEYS[3], text(now + number(ARGV[4])), ARGV[3])
end
local fingerprint = redis.call('HGET', KEYS[1], 'policyFingerprint') or ''
local brokers = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now), '+inf')
local tag, entries = 'log', {}
if ARGV[5] ~= epoch then
  tag = 'reset'
elseif number(ARGV[6]) ~= vseq then
  entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[6] .. '-0', '+')
  if #entries ~= vseq - number(ARGV[6]) then tag, entries = 'reset', {} end
end
return reply(tag, text(policy), fingerprint, brokers, entries, paused)
