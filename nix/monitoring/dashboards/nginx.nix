# The proxies, and each route from outside.
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
  title = "Proxies and routes";
  description = "nginx of each host, and each route as its users see it.";
  choices = [
    {
      label = "host";
      from = "nginx_up";
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Proxies that answer";
          queries = [ { expr = "sum(nginx_up{${chosen}})"; } ];
        })
        (number {
          title = "Routes that fail";
          level = 1;
          queries = [ { expr = "count(probe_success == 0) or vector(0)"; } ];
        })
        (number {
          title = "Days until the next certificate ends";
          unit = "d";
          queries = [ { expr = "min(probe_ssl_earliest_cert_expiry - time()) / 86400"; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Requests a second";
          unit = "reqps";
          queries = [
            {
              expr = "rate(nginx_http_requests_total{${chosen}}[5m])";
              legend = "{{host}}";
            }
          ];
        })
        (graph {
          title = "Connections";
          queries = [
            {
              expr = "nginx_connections_active{${chosen}}";
              legend = "{{host}}: open";
            }
            {
              expr = "nginx_connections_waiting{${chosen}}";
              legend = "{{host}}: idle";
            }
          ];
        })
        (graph {
          title = "Connections that were not taken, a minute";
          queries = [
            {
              expr = "(rate(nginx_connections_accepted{${chosen}}[5m]) - rate(nginx_connections_handled{${chosen}}[5m])) * 60";
              legend = "{{host}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Routes: seconds until the answer";
          unit = "s";
          queries = [
            {
              expr = "probe_duration_seconds";
              legend = "{{url}}";
            }
          ];
        })
        (table {
          title = "Certificates: days left";
          unit = "d";
          hidden = [
            "__name__"
            "instance"
            "job"
            "unit"
          ];
          queries = [ { expr = "sort((probe_ssl_earliest_cert_expiry - time()) / 86400)"; } ];
        })
      ];
    }
  ];
}
