-- count: how many tokens of a target count, by source, a page at a time by their expiry. Also how many counted before a
-- revocation of it: its cutoff of before and its own are told. A record of later may name the one whose place it has taken.
-- KEYS 4 slots; ARGV 3 prefix of record keys, 4 prefix of floor keys, 5 target (source:X, provider:X, all), 6 the target's cutoff
--      in the place of the one that stands, or '', 7 the greatest generation to count, or '', 8 cursor or '', 9 count
-- A cursor is the last expiry and how many of those with this very expiry have been seen: many may share one.
local from, passed = string.match(ARGV[8], '^(%d+) (%d+)$')
local page = redis.call('ZRANGEBYSCORE', KEYS[4], from or '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', passed or 0, ARGV[9])
local standing = {}
if ARGV[6] ~= '' then standing[ARGV[5]] = number(ARGV[6]) end
local function cutoff(target)
  standing[target] = standing[target] or number(redis.call('HGET', KEYS[1], 'cutoff:' .. target))
  return standing[target]
end
local counts, atLast = {}, 0
for i = 1, #page, 2 do
  local slot = page[i]
  atLast = page[i + 1] == page[#page] and atLast + 1 or 0
  local r = redis.pcall('HMGET', ARGV[3] .. slot, 'source', 'generation', 'epoch', 'expiresAt', 'revoked', 'provider', 'ended')
  if not r.err and r[1] and r[3] == epoch and not r[5] and number(r[4]) > now then
    local source, provider = 'source:' .. r[1], 'provider:' .. (r[6] or '')
    local isMeant = ARGV[5] == 'all' or ARGV[5] == source or ARGV[5] == provider
    local born = number(r[2])
    if ARGV[7] ~= '' and born > number(ARGV[7]) then born = number(r[7]) end
    if isMeant then
      local floor = math.max(cutoff('all'), cutoff(source), cutoff(provider), number(redis.call('GET', ARGV[4] .. slot)))
      if born > floor then counts[r[1]] = (counts[r[1]] or 0) + 1 end
    end
  end
end
local rows = {}
for source, many in pairs(counts) do rows[#rows + 1] = { source, text(many) } end
local next = ''
if #page == 2 * number(ARGV[9]) then
  if page[#page] == from then atLast = atLast + number(passed) end
  next = page[#page] .. ' ' .. text(atLast)
end
return reply('ok', next, rows)
