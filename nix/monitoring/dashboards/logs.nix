# Lines of all hosts.
{ graph, lines, ... }:
{
  title = "Logs";
  description = "Lines of every host. `query` takes LogsQL, for example `level:error` or a rollout's id.";
  from = "now-1h";
  texts = [ "query" ];
  choices = [
    {
      label = "host";
      from = ''up{job="node"}'';
    }
    {
      label = "stack";
      from = ''up{job="stack"}'';
    }
  ];
  rows = [
    {
      height = 12;
      content = [
        (lines {
          title = "Lines";
          query = ''host:~"^($host)$" $query'';
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Lines a second";
          unit = "ops";
          queries = [
            {
              expr = ''sum by (host, level) (rate(slipway_log_lines_total{host=~"$host"}[5m]))'';
              legend = "{{host}} {{level}}";
            }
          ];
        })
        (graph {
          title = "Memory ran out, or somebody could not sign in";
          queries = [
            {
              expr = ''sum by (host, event) (increase(slipway_log_events_total{host=~"$host"}[10m])) > 0'';
              legend = "{{host}} {{event}}";
            }
          ];
        })
        (graph {
          title = "Lines that were dropped or sent again";
          queries = [
            {
              expr = ''sum by (host) (increase(fluentbit_output_dropped_records_total{host=~"$host"}[10m]))'';
              legend = "{{host}}: dropped";
            }
            {
              expr = ''sum by (host) (increase(fluentbit_output_retries_total{host=~"$host"}[10m]))'';
              legend = "{{host}}: again";
            }
          ];
        })
      ];
    }
    {
      height = 10;
      content = [
        (lines {
          title = "Errors of stacks";
          query = ''host:~"^($host)$" stack:~"^($stack)$" level:error'';
        })
        (lines {
          title = "Failed requests";
          query = ''stack:~"^($stack)$" status:~"^5"'';
        })
      ];
    }
  ];
}
