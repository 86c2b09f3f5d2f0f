# The four golden signals of each stack: traffic, errors, latency, saturation.
{
  graph,
  number,
  states,
  ...
}:
let
  inherit (import ../../contract.nix) paths;
  chosen = ''host=~"$host",stack=~"$stack"'';
  # The agents' long polls would hide all else.
  requests = ''${chosen},route!="${paths.sync}"'';
  quantile =
    share:
    "histogram_quantile(${share}, sum by (stack, service, le) (rate(http_request_duration_seconds_bucket{${requests}}[5m])))";
in
{
  title = "Stacks";
  description = "Traffic, errors, latency and saturation of each stack's services.";
  choices = [
    {
      label = "host";
      from = ''up{job="stack"}'';
    }
    {
      label = "stack";
      from = ''up{job="stack"}'';
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Replicas that answer";
          queries = [ { expr = ''sum(up{job="stack",${chosen}})''; } ];
        })
        (number {
          title = "Requests a second";
          unit = "reqps";
          queries = [ { expr = "sum(rate(http_requests_total{${requests}}[5m]))"; } ];
        })
        (number {
          title = "Requests that failed";
          unit = "percentunit";
          level = 0.01;
          decimals = 3;
          queries = [
            {
              expr = ''sum(rate(http_requests_total{${requests},status=~"5.."}[5m])) / sum(rate(http_requests_total{${requests}}[5m])) or vector(0)'';
            }
          ];
        })
        (number {
          title = "Routes that fail from outside";
          level = 1;
          queries = [ { expr = ''count(probe_success{stack=~"$stack"} == 0) or vector(0)''; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Traffic";
          unit = "reqps";
          queries = [
            {
              expr = "sum by (stack, service) (rate(http_requests_total{${requests}}[5m]))";
              legend = "{{stack}} {{service}}";
            }
          ];
        })
        (graph {
          title = "Errors";
          unit = "percentunit";
          queries = [
            {
              expr = ''sum by (stack, service, route) (rate(http_requests_total{${requests},status=~"5.."}[5m])) / sum by (stack, service, route) (rate(http_requests_total{${requests}}[5m]))'';
              legend = "{{stack}} {{service}} {{route}}";
            }
          ];
        })
        (graph {
          title = "Latency";
          unit = "s";
          queries = [
            {
              expr = quantile "0.5";
              legend = "{{stack}} {{service}}: half";
            }
            {
              expr = quantile "0.99";
              legend = "{{stack}} {{service}}: 99 %";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Traffic at the proxy";
          description = "From nginx' access logs, so programs without metrics are here too.";
          unit = "reqps";
          queries = [
            {
              expr = "sum by (stack, domain, route) (rate(slipway_proxy_requests_total{${requests}}[5m]))";
              legend = "{{domain}}{{route}}";
            }
          ];
        })
        (graph {
          title = "Errors at the proxy";
          unit = "percentunit";
          queries = [
            {
              expr = ''sum by (stack, domain, route) (rate(slipway_proxy_requests_total{${requests},status=~"5.."}[5m])) / sum by (stack, domain, route) (rate(slipway_proxy_requests_total{${requests}}[5m]))'';
              legend = "{{domain}}{{route}}";
            }
          ];
        })
        (graph {
          title = "Latency at the proxy: 99 of 100 are faster";
          unit = "s";
          queries = [
            {
              expr = "histogram_quantile(0.99, sum by (stack, domain, route, le) (rate(slipway_proxy_request_duration_seconds_bucket{${requests}}[5m])))";
              legend = "{{domain}}{{route}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Requests under way";
          queries = [
            {
              expr = "sum by (stack, service) (http_requests_in_flight{${chosen}})";
              legend = "{{stack}} {{service}}";
            }
          ];
        })
        (graph {
          title = "Connections to the database";
          queries = [
            {
              expr = ''sum by (stack, service) (database_pool_connections{${chosen},state="used"})'';
              legend = "{{stack}} {{service}}: used";
            }
            {
              expr = "sum by (stack, service) (database_pool_size{${chosen}})";
              legend = "{{stack}} {{service}}: most";
            }
            {
              expr = "sum by (stack, service) (database_pool_waiting{${chosen}})";
              legend = "{{stack}} {{service}}: calls that wait";
            }
          ];
        })
        (graph {
          title = "Processors";
          queries = [
            {
              expr = "sum by (stack, service) (rate(process_cpu_seconds_total{${chosen}}[5m]))";
              legend = "{{stack}} {{service}}";
            }
          ];
        })
        (graph {
          title = "Memory";
          unit = "bytes";
          queries = [
            {
              expr = "sum by (stack, service) (process_resident_memory_bytes{${chosen}})";
              legend = "{{stack}} {{service}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (states {
          title = "Replicas";
          values = {
            "0".text = "down";
            "0".color = "red";
            "1".text = "up";
            "1".color = "green";
          };
          queries = [
            {
              expr = ''max by (host, unit) (up{job="stack",${chosen}})'';
              legend = "{{host}} {{unit}}";
            }
          ];
        })
        (graph {
          title = "Jobs: seconds since the last success";
          unit = "s";
          queries = [
            {
              expr = ''time() - slipway_job_last_success_timestamp_seconds{stack=~"$stack"}'';
              legend = "{{stack}} {{exported_job}}";
            }
          ];
        })
      ];
    }
  ];
}
