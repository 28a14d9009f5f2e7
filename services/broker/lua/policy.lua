-- policy: the version of a configuration. One that is not the cluster's current one becomes the newest.
-- ARGV 3 fingerprint, 4 version where another partition has given it already, else ''
local current = redis.call('HGET', KEYS[1], 'policyFingerprint')
if ARGV[4] ~= '' then
  if number(ARGV[4]) > policy then
    policy = number(ARGV[4])
    redis.call('HSET', KEYS[1], 'policy', text(policy), 'policyFingerprint', ARGV[3])
  end
elseif current ~= ARGV[3] then
  policy = math.max(policy + 1, nowUs)
  redis.call('HSET', KEYS[1], 'policy', text(policy), 'policyFingerprint', ARGV[3])
end
return reply('ok', text(policy))
