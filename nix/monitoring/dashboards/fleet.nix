# What runs where, and what needs somebody.
{
  graph,
  number,
  table,
  states,
  ...
}:
{
  title = "Fleet";
  description = "Every host that a control plane knows, and what needs somebody.";
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Hosts that answer";
          queries = [ { expr = ''sum(up{job="node"})''; } ];
        })
        (number {
          title = "Hosts that do not answer";
          level = 1;
          queries = [ { expr = ''count(up{job="node"} == 0) or vector(0)''; } ];
        })
        (number {
          title = "Hosts that are stuck";
          level = 1;
          queries = [
            { expr = "count(max by (environment, name) (slipway_host_stuck) == 1) or vector(0)"; }
          ];
        })
        (number {
          title = "Hosts that drift";
          level = 1;
          queries = [
            { expr = "count(max by (environment, name) (slipway_host_drift) == 1) or vector(0)"; }
          ];
        })
        (number {
          title = "Reboots needed";
          level = 1;
          queries = [ { expr = "sum(slipway_host_reboot_needed) or vector(0)"; } ];
        })
        (number {
          title = "Alerts that fire";
          level = 1;
          queries = [ { expr = ''count(ALERTS{alertstate="firing",severity!="info"}) or vector(0)''; } ];
        })
      ];
    }
    {
      height = 9;
      content = [
        (table {
          title = "Alerts";
          hidden = [
            "Value"
            "__name__"
            "alertstate"
            "instance"
          ];
          queries = [ { expr = ''ALERTS{alertstate="firing",severity!="info"}''; } ];
        })
        (graph {
          title = "Seconds since each agent was last heard";
          unit = "s";
          queries = [
            {
              expr = "time() - max by (environment, name) (slipway_host_last_seen_timestamp_seconds > 0)";
              legend = "{{environment}} {{name}}";
            }
          ];
        })
      ];
    }
    {
      height = 9;
      content = [
        (states {
          title = "Hosts";
          values = {
            "0".text = "away";
            "0".color = "red";
            "1".text = "there";
            "1".color = "green";
          };
          queries = [
            {
              expr = ''max by (host) (up{job="node"})'';
              legend = "{{host}}";
            }
          ];
        })
        (table {
          title = "The system of each host";
          hidden = [
            "Value"
            "__name__"
            "instance"
            "job"
          ];
          queries = [ { expr = "slipway_host_system_info"; } ];
        })
      ];
    }
  ];
}
