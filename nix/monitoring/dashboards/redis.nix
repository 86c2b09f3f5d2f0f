# The caches of stacks.
{ graph, number, ... }:
let
  chosen = ''host=~"$host",stack=~"$stack"'';
in
{
  title = "Redis";
  description = "The cache of each stack.";
  choices = [
    {
      label = "host";
      from = "redis_up";
    }
    {
      label = "stack";
      from = "redis_up";
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Caches that answer";
          queries = [ { expr = "sum(redis_up{${chosen}})"; } ];
        })
        (number {
          title = "Memory used";
          unit = "percentunit";
          level = 0.9;
          queries = [
            { expr = "max(redis_memory_used_bytes{${chosen}} / (redis_memory_max_bytes{${chosen}} > 0))"; }
          ];
        })
        (number {
          title = "Clients";
          queries = [ { expr = "sum(redis_connected_clients{${chosen}})"; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Memory";
          unit = "bytes";
          queries = [
            {
              expr = "redis_memory_used_bytes{${chosen}}";
              legend = "{{host}} {{stack}}";
            }
            {
              expr = "redis_memory_max_bytes{${chosen}} > 0";
              legend = "{{host}} {{stack}}: most";
            }
          ];
        })
        (graph {
          title = "Commands a second";
          unit = "ops";
          queries = [
            {
              expr = "rate(redis_commands_processed_total{${chosen}}[5m])";
              legend = "{{host}} {{stack}}";
            }
          ];
        })
        (graph {
          title = "Keys evicted and expired a second";
          unit = "ops";
          queries = [
            {
              expr = "rate(redis_evicted_keys_total{${chosen}}[5m])";
              legend = "{{host}} {{stack}}: evicted";
            }
            {
              expr = "rate(redis_expired_keys_total{${chosen}}[5m])";
              legend = "{{host}} {{stack}}: expired";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Clients";
          queries = [
            {
              expr = "redis_connected_clients{${chosen}}";
              legend = "{{host}} {{stack}}";
            }
            {
              expr = "redis_blocked_clients{${chosen}}";
              legend = "{{host}} {{stack}}: waiting";
            }
          ];
        })
        (graph {
          title = "Keys found";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = "rate(redis_keyspace_hits_total{${chosen}}[5m]) / (rate(redis_keyspace_hits_total{${chosen}}[5m]) + rate(redis_keyspace_misses_total{${chosen}}[5m]))";
              legend = "{{host}} {{stack}}";
            }
          ];
        })
      ];
    }
  ];
}
