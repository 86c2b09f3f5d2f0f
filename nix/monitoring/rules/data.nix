# Postgres and Redis.
{
  PostgresDown = {
    severity = "page";
    forSeconds = 45;
    labels.rollout = "explains";
    summary = "Postgres of {{ $labels.host }} does not answer.";
    expr = _: ''pg_up{job="postgres"} == 0'';
  };
  DatabaseConnectionsHigh = {
    severity = "ticket";
    forSeconds = 300;
    thresholds.usedPercent = 85;
    summary = "{{ printf \"%.0f\" $value }} % of the connections of {{ $labels.host }}'s Postgres are used.";
    # A stack on the same host could say that there are many more.
    expr = t: ''
      sum by (host) (pg_stat_activity_count{job="postgres"})
      / max by (host) (pg_settings_max_connections{job="postgres"}) * 100 > ${t.usedPercent}
    '';
  };
  ReplicationLag = {
    severity = "ticket";
    forSeconds = 300;
    thresholds.lagMiB = 256;
    summary = "The copy {{ $labels.application_name }} of {{ $labels.host }}'s Postgres is {{ $value | humanize1024 }}B behind.";
    expr =
      t:
      ''max by (host, application_name) (pg_stat_replication_pg_wal_lsn_diff{job="postgres"}) > ${t.lagMiB} * 1048576'';
  };
  LongTransaction = {
    severity = "ticket";
    forSeconds = 60;
    thresholds.seconds = 3600;
    summary = "A transaction in {{ $labels.datname }} of {{ $labels.host }} is {{ $value | humanizeDuration }} old.";
    # A dump may take its time.
    expr =
      t:
      ''max by (host, datname) (pg_stat_activity_max_tx_duration{job="postgres",state=~"active|idle in transaction.*",usename!="slipway-backup"}) > ${t.seconds}'';
  };
  RedisDown = {
    severity = "ticket";
    forSeconds = 60;
    labels.rollout = "explains";
    summary = "{{ $labels.instance }} cannot reach its Redis.";
    expr = _: ''redis_up{job="redis"} == 0'';
  };
  RedisMemoryHigh = {
    severity = "ticket";
    forSeconds = 300;
    thresholds.usedPercent = 90;
    summary = "The Redis of {{ $labels.instance }} uses {{ printf \"%.0f\" $value }} % of its memory, and then refuses writes.";
    # One that drops old keys instead may be full; RedisEvicts is about that.
    expr = t: ''
      redis_memory_used_bytes{job="redis"} / (redis_memory_max_bytes{job="redis"} > 0) * 100 > ${t.usedPercent}
      and on (instance) redis_instance_info{job="redis",maxmemory_policy="noeviction"}
    '';
  };
  RedisEvicts = {
    severity = "ticket";
    forSeconds = 900;
    thresholds.keysPerSecond = 10;
    summary = "The Redis of {{ $labels.instance }} drops {{ printf \"%.0f\" $value }} keys a second for lack of memory.";
    expr = t: ''rate(redis_evicted_keys_total{job="redis"}[15m]) > ${t.keysPerSecond}'';
  };
}
