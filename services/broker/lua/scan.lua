-- scan: tokens that count and fetches that are in the air, a page at a time. What is there from the first page to the last
-- is found, in whatever order expiries come; some are found twice.
-- KEYS 4 slots; ARGV 3 cursor, 4 about how many, 5 prefix of record keys, 6 of floor keys, 7 of flight keys, 8 '1': with the sealed tokens
local page = redis.call('ZSCAN', KEYS[4], ARGV[3], 'COUNT', ARGV[4])
local rows = {}
for i = 1, #page[2], 2 do
  local slot = page[2][i]
  local r = redis.pcall('HMGET', ARGV[5] .. slot, 'source', 'provider', 'recipe', 'generation', 'epoch', 'expiresAt', 'revoked', 'sealed')
  local f = redis.pcall('HMGET', ARGV[7] .. slot, 'source', 'generation', 'epoch', 'until', 'code', 'provider')
  if r.err then r = {} end
  if f.err then f = {} end
  local function floorAbove(source, provider)
    local cutoffs = redis.call('HMGET', KEYS[1], 'cutoff:all', 'cutoff:source:' .. source, 'cutoff:provider:' .. provider)
    local floor = number(redis.call('GET', ARGV[6] .. slot))
    for _, cutoff in ipairs(cutoffs) do floor = math.max(floor, number(cutoff)) end
    return floor
  end
  local isLive = r[1] and r[8] and not r[7] and r[5] == epoch and number(r[6]) > now and number(r[4]) > floorAbove(r[1], r[2] or '')
  local isInAir = f[2] and not f[5] and f[3] == epoch and f[4] ~= '0' and number(f[2]) > floorAbove(f[1] or '', f[6] or '')
  if isLive or isInAir then
    rows[#rows + 1] = {
      slot,
      isLive and r[1] or '', isLive and r[2] or '', isLive and r[3] or '', isLive and r[4] or '', isLive and r[6] or '',
      isLive and ARGV[8] ~= '' and r[8] or '',
      isInAir and (f[1] or '') or '', isInAir and f[2] or ''
    }
  end
end
return reply('ok', page[1], rows)
