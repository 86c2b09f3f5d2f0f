let
  postgres = ''host="db",instance="db/postgres",job="postgres"'';
  redis = ''host="web-1",instance="web-1/redis-shop",job="redis"'';
  policy = name: ''redis_instance_info{${redis},maxmemory_policy="${name}"}'';
  ofPostgres = {
    host = "db";
    instance = "db/postgres";
    job = "postgres";
  };
  ofRedis = {
    host = "web-1";
    instance = "web-1/redis-shop";
    job = "redis";
  };
  connections = state: ''pg_stat_activity_count{${postgres},datname="shop",state="${state}"}'';
  lag = ''pg_stat_replication_pg_wal_lsn_diff{${postgres},application_name="copy"}'';
  age = state: ''pg_stat_activity_max_tx_duration{${postgres},datname="shop",state="${state}"}'';
in
{
  PostgresDown = {
    fault.series = {
      "pg_up{${postgres}}" = "1 0x20";
      # They differ only in a label that the rule itself sets, and break it for nobody.
      ${''pg_up{${postgres},rollout="a"}''} = "1 0x20";
      ${''pg_up{${postgres},rollout="b"}''} = "1 0x20";
    };
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = ofPostgres;
        summary = "Postgres of db does not answer.";
      }
    ];
    healthy.series."pg_up{${postgres}}" = "1 1 0 1x20";
  };
  DatabaseConnectionsHigh = {
    fault.series = {
      ${connections "active"} = "20x20";
      ${connections "idle"} = "70x20";
      "pg_settings_max_connections{${postgres}}" = "100x20";
      ${''pg_settings_max_connections{host="db",job="stack",stack="shop"}''} = "1000000x20";
    };
    fault.alerts = [
      {
        labels.host = "db";
        summary = "90 % of the connections of db's Postgres are used.";
      }
    ];
    healthy.series = {
      ${connections "active"} = "20x20";
      ${connections "idle"} = "60x20";
      "pg_settings_max_connections{${postgres}}" = "100x20";
    };
  };
  ReplicationLag = {
    fault.series.${lag} = "1073741824x20";
    fault.alerts = [
      {
        labels = {
          host = "db";
          application_name = "copy";
        };
        summary = "The copy copy of db's Postgres is 1GiB behind.";
      }
    ];
    # A load that the copy catches up with.
    healthy.series.${lag} = "0 536870912x2 104857600x20";
  };
  LongTransaction = {
    fault.series.${age "idle in transaction"} = "3600+60x20";
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = {
          host = "db";
          datname = "shop";
        };
        summary = "A transaction in shop of db is 1h 4m 0s old.";
      }
    ];
    # A connection in no transaction is as old as its last one.
    healthy.series = {
      ${age "active"} = "1800x20";
      ${age "idle"} = "90000+60x20";
      ${''pg_stat_activity_max_tx_duration{${postgres},datname="shop",state="active",usename="slipway-backup"}''} =
        "7200+60x20";
    };
  };
  RedisDown = {
    fault.series."redis_up{${redis}}" = "1 0x20";
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "web-1/redis-shop cannot reach its Redis.";
      }
    ];
    healthy.series."redis_up{${redis}}" = "1 0 1x20";
  };
  RedisMemoryHigh = {
    fault.series = {
      "redis_memory_used_bytes{${redis}}" = "255x20";
      "redis_memory_max_bytes{${redis}}" = "256x20";
      ${policy "noeviction"} = "1x20";
    };
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "The Redis of web-1/redis-shop uses 100 % of its memory, and then refuses writes.";
      }
    ];
    # A full cache makes room by itself; without a limit nothing is ever full.
    healthy.series = {
      "redis_memory_used_bytes{${redis}}" = "256x20";
      "redis_memory_max_bytes{${redis}}" = "256x20";
      ${policy "allkeys-lru"} = "1x20";
      ${''redis_memory_used_bytes{instance="web-1/redis-half"}''} = "128x20";
      ${''redis_memory_max_bytes{instance="web-1/redis-half"}''} = "256x20";
      ${''redis_instance_info{instance="web-1/redis-half",maxmemory_policy="noeviction"}''} = "1x20";
      ${''redis_memory_used_bytes{instance="web-1/redis-free"}''} = "9000x20";
      ${''redis_memory_max_bytes{instance="web-1/redis-free"}''} = "0x20";
      ${''redis_instance_info{instance="web-1/redis-free",maxmemory_policy="noeviction"}''} = "1x20";
    };
  };
  RedisEvicts = {
    fault.series."redis_evicted_keys_total{${redis}}" = "0+6000x40";
    fault.minutes = 25;
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "The Redis of web-1/redis-shop drops 100 keys a second for lack of memory.";
      }
    ];
    healthy.series."redis_evicted_keys_total{${redis}}" = "0+120x40";
    healthy.minutes = 25;
  };
}
