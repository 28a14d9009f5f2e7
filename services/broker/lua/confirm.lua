-- confirm: does the revocation stand, in the epoch that it was made in?
-- KEYS 4 floor of the slot; ARGV 3 target, 4 epoch, 5 floor
local stands
if string.match(ARGV[3], '^slot:') then
  stands = number(redis.call('GET', KEYS[4]))
else
  stands = number(redis.call('HGET', KEYS[1], 'cutoff:' .. ARGV[3]))
end
if epoch == ARGV[4] and stands >= number(ARGV[5]) then return reply('ok') end
return reply('redo')
