# Commands that no client of a stack's Redis needs: those that would change or end it, copy it elsewhere, or stop it for long.
[
  "BGREWRITEAOF"
  "BGSAVE"
  "CONFIG"
  "DEBUG"
  "FAILOVER"
  "FLUSHALL"
  "KEYS"
  "MIGRATE"
  "MODULE"
  "MONITOR"
  "REPLICAOF"
  "SAVE"
  "SHUTDOWN"
  "SLAVEOF"
  "SWAPDB"
]
