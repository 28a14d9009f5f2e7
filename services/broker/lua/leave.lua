-- leave: no revocation waits for this broker any more. ARGV 3 broker
redis.call('ZREM', KEYS[3], ARGV[3])
return reply('ok')
