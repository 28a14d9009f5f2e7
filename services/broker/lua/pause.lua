-- pause: from here on no fetch of the source is begun, or is again. ARGV 3 source, 4 '1': pause, '': resume
local before, since, after = string.match(paused, '^(.*) ' .. string.gsub(ARGV[3], '%-', '%%-') .. '=(%d+)(.*)$')
if ARGV[4] ~= '' then
  if not since then
    since = text(now)
    redis.call('HSET', KEYS[1], 'paused', paused .. ' ' .. ARGV[3] .. '=' .. since)
    return reply('changed', since)
  end
  return reply('same', since)
end
if not since then return reply('same', '') end
redis.call('HSET', KEYS[1], 'paused', before .. after)
return reply('changed', '')
