# Whether the watching itself works.
{
  graph,
  number,
  table,
  ...
}:
{
  title = "Monitoring itself";
  description = "Targets, alerts on their way, and what monitoring costs.";
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Targets that answer";
          queries = [ { expr = "sum(up)"; } ];
        })
        (number {
          title = "Targets that do not answer";
          level = 1;
          queries = [ { expr = "count(up == 0) or vector(0)"; } ];
        })
        (number {
          title = "Alerts that could not be sent";
          level = 1;
          queries = [ { expr = "sum(increase(alertmanager_notifications_failed_total[1h]))"; } ];
        })
        (number {
          title = "Series";
          queries = [ { expr = "sum(prometheus_tsdb_head_series)"; } ];
        })
      ];
    }
    {
      content = [
        (table {
          title = "Targets that do not answer";
          hidden = [
            "Value"
            "__name__"
          ];
          queries = [ { expr = "up == 0"; } ];
        })
        (graph {
          title = "Disk of metrics";
          unit = "bytes";
          queries = [
            {
              expr = "prometheus_tsdb_storage_blocks_bytes";
              legend = "{{host}}";
            }
          ];
        })
        (graph {
          title = "Memory of each exporter and server";
          unit = "bytes";
          queries = [
            {
              expr = ''process_resident_memory_bytes{job!="stack"}'';
              legend = "{{host}} {{job}}";
            }
          ];
        })
      ];
    }
  ];
}
