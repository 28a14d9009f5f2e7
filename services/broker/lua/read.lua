-- read: the record if it counts; else, while the pause after a failed call lasts, that failure.
if isLive() then return hit() end
local flight = fieldsOf(KEYS[6], 'recipe', 'until', 'code', 'message')
if flight[3] and flight[1] == recipe and number(flight[2]) > now then
  return reply('failed', flight[3], flight[4], text(number(flight[2]) - now))
end
return reply('miss', text(floor))
