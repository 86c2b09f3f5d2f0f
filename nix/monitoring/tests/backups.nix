let
  exporter = ''host="db",instance="db/slipway-backup-exporter",job="backup"'';
  of = metric: kind: ''slipway_backup_${metric}{${exporter},stack="shop",kind="${kind}"}'';
  archive = "slipway_backup_archive_ok{${exporter},stack=\"shop\"}";
  labels = {
    host = "db";
    instance = "db/slipway-backup-exporter";
    job = "backup";
    stack = "shop";
  };
  # The unit of a kind that failed is failed as well, and is no alert of its own.
  unit =
    kind:
    ''node_systemd_unit_state{host="db",job="node",name="shop-backup-${kind}.service",state="failed"}'';
in
{
  BackupLate = {
    fault.series.${of "late" "offsite"} = "1x20";
    fault.alerts = [
      {
        labels = labels // {
          kind = "offsite";
        };
        summary = "The backup (offsite) of shop on db is late.";
      }
    ];
    healthy.series.${of "late" "offsite"} = "0x20";
  };
  BackupFailed = {
    fault.series = {
      ${of "failed" "dump"} = "1x20";
      ${unit "dump"} = "1x20";
    };
    fault.alerts = [
      {
        labels = labels // {
          kind = "dump";
        };
        summary = "The backup (dump) of shop on db failed.";
      }
    ];
    healthy.series.${of "failed" "dump"} = "0x20";
  };
  DrillLate = {
    fault.series.${of "late" "drill"} = "1x20";
    fault.alerts = [
      {
        labels = labels // {
          kind = "drill";
        };
        summary = "The restore drill of shop on db is late.";
      }
    ];
    healthy.series.${of "late" "drill"} = "0x20";
  };
  DrillFailed = {
    fault.series = {
      ${of "failed" "drill"} = "1x20";
      ${unit "drill"} = "1x20";
    };
    fault.alerts = [
      {
        labels = labels // {
          kind = "drill";
        };
        summary = "The restore drill of shop on db failed.";
      }
    ];
    healthy.series.${of "failed" "drill"} = "0x20";
  };
  ArchiveBroken = {
    fault.series.${archive} = "0x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "Changes of shop's database on db do not reach the archive.";
      }
    ];
    # The server restarts.
    healthy.series.${archive} = "1 0 0 1x20";
  };
}
