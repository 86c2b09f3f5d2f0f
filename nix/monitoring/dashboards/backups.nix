# Backups, drills and the archive.
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
  title = "Backups";
  description = "Backups of each stack, and whether they restore.";
  from = "now-7d";
  choices = [
    {
      label = "host";
      from = "slipway_backup_late";
    }
  ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Late";
          level = 1;
          queries = [ { expr = "sum(slipway_backup_late{${chosen}})"; } ];
        })
        (number {
          title = "Failed";
          level = 1;
          queries = [ { expr = "sum(slipway_backup_failed{${chosen}})"; } ];
        })
        (number {
          title = "Archives that do not take changes";
          level = 1;
          queries = [ { expr = "count(slipway_backup_archive_ok{${chosen}} == 0) or vector(0)"; } ];
        })
        (number {
          title = "Oldest proof that a backup restores";
          unit = "s";
          queries = [ { expr = ''max(slipway_backup_age_seconds{${chosen},kind="drill"})''; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Age";
          unit = "s";
          queries = [
            {
              expr = "slipway_backup_age_seconds{${chosen}}";
              legend = "{{host}} {{stack}} {{kind}}";
            }
          ];
        })
        (graph {
          title = "Size";
          unit = "bytes";
          queries = [
            {
              expr = "slipway_backup_last_size_bytes{${chosen}}";
              legend = "{{host}} {{stack}} {{kind}}";
            }
          ];
        })
        (graph {
          title = "Duration";
          unit = "s";
          queries = [
            {
              expr = "slipway_backup_last_duration_seconds{${chosen}}";
              legend = "{{host}} {{stack}} {{kind}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Seconds of changes that are not in the archive yet";
          unit = "s";
          queries = [
            {
              expr = "slipway_backup_archive_lag_seconds{${chosen}}";
              legend = "{{host}} {{stack}}";
            }
          ];
        })
        (graph {
          title = "Segments that wait for the archive";
          queries = [
            {
              expr = "slipway_backup_archive_waiting_segments{${chosen}}";
              legend = "{{host}} {{stack}}";
            }
          ];
        })
      ];
    }
  ];
}
