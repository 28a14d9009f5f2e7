-- release: the intent ends, the token stays. ARGV 1 attempt
clearIntentOf(ARGV[1])
return { 'ok' }
