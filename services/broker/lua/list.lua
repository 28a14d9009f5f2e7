-- list: live records of a partition by their expiry, a page at a time.
-- KEYS 4 slots; ARGV 3 prefix of record keys, 4 prefix of floor keys, 5 source or '', 6 slot or '', 7 offset, 8 count
local slots
if ARGV[6] ~= '' then
  slots = { ARGV[6] }
else
  slots = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. text(now), '+inf', 'LIMIT', ARGV[7], ARGV[8])
end
local rows = {}
local all = number(redis.call('HGET', KEYS[1], 'cutoff:all'))
for _, slot in ipairs(slots) do
  local r = redis.pcall('HMGET', ARGV[3] .. slot, 'source', 'generation', 'epoch', 'expiresAt', 'revoked', 'provider')
  if not r.err and r[1] and r[3] == epoch and not r[5] and (ARGV[5] == '' or r[1] == ARGV[5]) then
    local cutoffs = redis.call('HMGET', KEYS[1], 'cutoff:source:' .. r[1], 'cutoff:provider:' .. (r[6] or ''))
    local floor = math.max(all, number(redis.call('GET', ARGV[4] .. slot)), number(cutoffs[1]), number(cutoffs[2]))
    if number(r[2]) > floor and number(r[4]) > now then rows[#rows + 1] = { slot, r[1], r[3], r[2], r[4] } end
  end
end
return reply('ok', tostring(#slots), rows)
