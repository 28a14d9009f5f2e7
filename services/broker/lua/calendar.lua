-- Days and months of UTC, numbered: days since 1970, and months since March of the year 0, whose leap day ends the year.
-- After the algorithms of days and civil dates by Howard Hinnant.
local DAY = 86400000

local function monthOfDay(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local dayOfEra = z - era * 146097
  local yearOfEra = math.floor((dayOfEra - math.floor(dayOfEra / 1460) + math.floor(dayOfEra / 36524) - math.floor(dayOfEra / 146096)) / 365)
  local dayOfYear = dayOfEra - (365 * yearOfEra + math.floor(yearOfEra / 4) - math.floor(yearOfEra / 100))
  return (era * 400 + yearOfEra) * 12 + math.floor((5 * dayOfYear + 2) / 153)
end

local function firstDayOfMonth(month)
  local year = math.floor(month / 12)
  local leaps = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  return year * 365 + leaps + math.floor((153 * (month - year * 12) + 2) / 5) - 719468
end

local PERIODS = { 'day', 'month' }

-- The number of the day or month that this moment (ms since 1970) is in.
local function periodOf(period, ms)
  local days = math.floor(ms / DAY)
  if period == 'day' then return days end
  return monthOfDay(days)
end

-- When the day or month of this moment ends.
local function endOfPeriod(period, ms)
  local nextOne = periodOf(period, ms) + 1
  if period == 'day' then return nextOne * DAY end
  return firstDayOfMonth(nextOne) * DAY
end
