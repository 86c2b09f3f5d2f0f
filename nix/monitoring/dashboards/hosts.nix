# One machine or several: processors, memory, disks, network, units.
{
  graph,
  number,
  table,
  ...
}:
let
  chosen = ''host=~"$host"'';
  disks = ''${chosen},fstype!~"tmpfs|ramfs|overlay"'';
in
{
  title = "Hosts";
  description = "Processors, memory, disks, network and units of each host.";
  choices = [
    {
      label = "host";
      from = ''up{job="node"}'';
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Fullest disk";
          unit = "percentunit";
          level = 0.9;
          queries = [
            { expr = "max(1 - node_filesystem_avail_bytes{${disks}} / node_filesystem_size_bytes{${disks}})"; }
          ];
        })
        (number {
          title = "Least memory left";
          unit = "percentunit";
          queries = [
            { expr = "min(node_memory_MemAvailable_bytes{${chosen}} / node_memory_MemTotal_bytes{${chosen}})"; }
          ];
        })
        (number {
          title = "Units that failed";
          level = 1;
          queries = [ { expr = ''sum(node_systemd_units{${chosen},state="failed"})''; } ];
        })
        (number {
          title = "Longest since the last boot";
          unit = "s";
          queries = [ { expr = "max(time() - node_boot_time_seconds{${chosen}})"; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Processors in use";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = ''1 - avg by (host) (rate(node_cpu_seconds_total{${chosen},mode="idle"}[5m]))'';
              legend = "{{host}}";
            }
          ];
        })
        (graph {
          title = "Memory in use";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = "1 - node_memory_MemAvailable_bytes{${chosen}} / node_memory_MemTotal_bytes{${chosen}}";
              legend = "{{host}}";
            }
          ];
        })
        (graph {
          title = "Time that programs wait";
          description = "The share of time in which some program waits for processors, memory or disks.";
          unit = "percentunit";
          queries = [
            {
              expr = "rate(node_pressure_cpu_waiting_seconds_total{${chosen}}[5m])";
              legend = "{{host}}: processors";
            }
            {
              expr = "rate(node_pressure_memory_waiting_seconds_total{${chosen}}[5m])";
              legend = "{{host}}: memory";
            }
            {
              expr = "rate(node_pressure_io_waiting_seconds_total{${chosen}}[5m])";
              legend = "{{host}}: disks";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Disks: full";
          unit = "percentunit";
          max = 1;
          queries = [
            {
              expr = "1 - node_filesystem_avail_bytes{${disks}} / node_filesystem_size_bytes{${disks}}";
              legend = "{{host}} {{mountpoint}}";
            }
          ];
        })
        (graph {
          title = "Disks: busy";
          unit = "percentunit";
          queries = [
            {
              expr = "rate(node_disk_io_time_seconds_total{${chosen}}[5m])";
              legend = "{{host}} {{device}}";
            }
          ];
        })
        (graph {
          title = "Network";
          unit = "Bps";
          queries = [
            {
              expr = ''sum by (host) (rate(node_network_receive_bytes_total{${chosen},device!="lo"}[5m]))'';
              legend = "{{host}}: received";
            }
            {
              expr = ''sum by (host) (rate(node_network_transmit_bytes_total{${chosen},device!="lo"}[5m]))'';
              legend = "{{host}}: sent";
            }
          ];
        })
      ];
    }
    {
      content = [
        (table {
          title = "Units that failed";
          hidden = [
            "Value"
            "__name__"
            "instance"
            "job"
            "state"
            "type"
          ];
          queries = [ { expr = ''node_systemd_unit_state{${chosen},state="failed"} == 1''; } ];
        })
        (graph {
          title = "Restarts of units";
          queries = [
            {
              expr = "sum by (host, name) (increase(node_systemd_service_restart_total{${chosen}}[10m])) > 0";
              legend = "{{host}} {{name}}";
            }
          ];
        })
        (graph {
          title = "Clock: seconds off";
          unit = "s";
          queries = [
            {
              expr = "abs(node_time_seconds{${chosen}} - timestamp(node_time_seconds{${chosen}}))";
              legend = "{{host}}";
            }
          ];
        })
      ];
    }
  ];
}
