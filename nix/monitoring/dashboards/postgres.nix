# The host's Postgres.
{
  graph,
  number,
  table,
  ...
}:
let
  chosen = ''host=~"$host"'';
in
{
  title = "Postgres";
  description = "The database server of each host.";
  choices = [
    {
      label = "host";
      from = "pg_up";
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Servers that answer";
          queries = [ { expr = "sum(pg_up{${chosen}})"; } ];
        })
        (number {
          title = "Connections used";
          unit = "percentunit";
          level = 0.8;
          queries = [
            {
              expr = "max(sum by (host) (pg_stat_activity_count{${chosen}}) / max by (host) (pg_settings_max_connections{${chosen}}))";
            }
          ];
        })
        (number {
          title = "Oldest transaction";
          unit = "s";
          level = 300;
          queries = [
            {
              expr = ''max(pg_stat_activity_max_tx_duration{${chosen},state=~"active|idle in transaction.*"}) or vector(0)'';
            }
          ];
        })
        (number {
          title = "Replicas that follow";
          queries = [ { expr = "count(pg_stat_replication_pg_wal_lsn_diff{${chosen}}) or vector(0)"; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Transactions a second";
          unit = "ops";
          queries = [
            {
              expr = "sum by (host, datname) (rate(pg_stat_database_xact_commit{${chosen}}[5m]))";
              legend = "{{host}} {{datname}}";
            }
            {
              expr = "sum by (host, datname) (rate(pg_stat_database_xact_rollback{${chosen}}[5m])) > 0";
              legend = "{{host}} {{datname}}: rolled back";
            }
          ];
        })
        (graph {
          title = "Connections";
          stacked = true;
          queries = [
            {
              expr = "sum by (host, datname, state) (pg_stat_activity_count{${chosen}}) > 0";
              legend = "{{host}} {{datname}} {{state}}";
            }
          ];
        })
        (graph {
          title = "Read from memory";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = "sum by (host) (rate(pg_stat_database_blks_hit{${chosen}}[5m])) / (sum by (host) (rate(pg_stat_database_blks_hit{${chosen}}[5m])) + sum by (host) (rate(pg_stat_database_blks_read{${chosen}}[5m])))";
              legend = "{{host}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Size";
          unit = "bytes";
          queries = [
            {
              expr = "max by (host, datname) (pg_database_size_bytes{${chosen}})";
              legend = "{{host}} {{datname}}";
            }
          ];
        })
        (graph {
          title = "Deadlocks and conflicts a minute";
          queries = [
            {
              expr = "sum by (host, datname) (rate(pg_stat_database_deadlocks{${chosen}}[5m])) * 60";
              legend = "{{host}} {{datname}}: deadlocks";
            }
            {
              expr = "sum by (host, datname) (rate(pg_stat_database_conflicts{${chosen}}[5m])) * 60";
              legend = "{{host}} {{datname}}: conflicts";
            }
          ];
        })
        (graph {
          title = "Bytes that replicas are behind";
          unit = "bytes";
          queries = [
            {
              expr = "max by (host, application_name) (pg_stat_replication_pg_wal_lsn_diff{${chosen}})";
              legend = "{{host}} {{application_name}}";
            }
          ];
        })
      ];
    }
  ];
}
