-- commit: the compare-and-set that decides. Everything that happened since the claim is seen here.
-- ARGV 8 attempt, 9 epoch of the claim, 10 generation, 11 expiresAt, 12 usableUntil, 13 sealed, 14 hash of the token,
--      15 candidate for the channel key, sealed, 16 id of the key that seals now, 17 '1': the token stands in the configuration
local attempt, claimEpoch, claimed, expiresAt, usableUntil = ARGV[8], ARGV[9], number(ARGV[10]), number(ARGV[11]), number(ARGV[12])
local MAX_FLIGHT_US = 900 * 1000000 -- floors outlive any flight: an older claim might outlive the floor that forbids it

local hash = ARGV[14]
-- What stands in the configuration comes back when that says so again: a rotation is taken back, a source was away for a
-- while. As long as nobody changes the source, it is the same token, and dead when it was revoked.
if ARGV[17] == '1' then hash = hash .. ':' .. (redis.call('HGET', KEYS[1], 'changed:' .. source) or '0') end
-- The hash of a token that died before this record came, and whether only a resource server has refused the record's own:
-- one that is refused by mistake may be fetched again, until it is revoked.
local deadHash, rejected = unpack(redis.call('HMGET', KEYS[4], 'deadHash', 'rejected'))
-- Until when there is something to remember: a token that died may live longer at its provider than the one that takes its
-- place here, and must not come back in the meantime.
local keptUntil = now + math.max(0, redis.call('PTTL', KEYS[4]))
local recordIsDead = record.hash and (record.revoked or record.generation < floor or (record.generation == floor and not rejected))

local function committed()
  local version, key = channel()
  return reply('ok', text(record.generation), version, key)
end

if claimEpoch ~= epoch then return reply('epoch') end
if claimed <= floor then
  -- A provider that caches may have given this token to a later claim too: then it is the winner's, and lives. Else no later
  -- claim may have it.
  if isUsable() and record.hash == hash then return reply('lost') end
  if isUsable() then
    redis.call('HSET', KEYS[4], 'deadHash', hash)
    redis.call('PEXPIREAT', KEYS[4], text(math.max(expiresAt, keptUntil)))
  else
    -- Sent again after a lost reply, it must not push out what the first time has kept.
    if record.hash and record.hash ~= hash then deadHash = record.hash end
    redis.call('DEL', KEYS[4])
    redis.call('HSET', KEYS[4], 'generation', text(claimed), 'epoch', epoch, 'expiresAt', text(expiresAt), 'hash', hash, 'revoked', '1',
      'deadHash', deadHash or '')
    redis.call('PEXPIREAT', KEYS[4], text(math.max(expiresAt, keptUntil)))
  end
  return reply('dead')
end
if record.attempt == attempt and record.epoch == epoch then return committed() end -- sent again after a lost reply
if isOutdated() then return reply('policy') end
if record.epoch == epoch and record.generation >= claimed then return reply('lost') end
if usableUntil <= now or nowUs - claimed > MAX_FLIGHT_US then return reply('expired') end
-- An identity provider that caches may hand out the very token that was revoked.
if hash == deadHash or (recordIsDead and record.hash == hash) then return reply('replayed') end
if recordIsDead or (rejected and record.hash ~= hash) then deadHash = record.hash end

-- A token that has ended with its source, and might have been handed out until then: whoever counts what ended counts it.
local ended = recordIsDead and record.sealed and record.epoch == epoch and record.expiresAt > now and record.generation

redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[4], 'generation', text(claimed), 'epoch', epoch, 'expiresAt', text(expiresAt), 'usableUntil', text(usableUntil),
  'recipe', recipe, 'sealed', ARGV[13], 'attempt', attempt, 'hash', hash, 'deadHash', deadHash or '', 'source', source, 'provider', provider)
if ended then redis.call('HSET', KEYS[4], 'ended', text(ended)) end
redis.call('PEXPIREAT', KEYS[4], text((deadHash or '') == '' and expiresAt or math.max(expiresAt, keptUntil)))
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', text(now))
redis.call('ZADD', KEYS[8], text(expiresAt), slot)
if redis.call('HGET', KEYS[6], 'attempt') == attempt then redis.call('DEL', KEYS[6]) end
record.generation = claimed

-- One that is sealed under another key than seals now goes before that key does, and pushes end.
if brokerPolicy == policy and (channel() == '' or redis.call('HGET', KEYS[7], 'sealedBy') ~= ARGV[16]) then
  redis.call('DEL', KEYS[7])
  redis.call('HSET', KEYS[7], 'version', text(claimed), 'epoch', epoch, 'policy', text(policy), 'sealed', ARGV[15], 'sealedBy', ARGV[16])
end
redis.call('PEXPIREAT', KEYS[7], text(expiresAt + 600000))
return committed()
