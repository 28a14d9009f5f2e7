-- read: the record if it counts.
if isLive() then return hit() end
return reply('miss', text(floor))
