# Backups, and whether they restore.
let
  backup = "The backup ({{ $labels.kind }}) of {{ $labels.stack }} on {{ $labels.host }}";
  drill = "restore drill of {{ $labels.stack }} on {{ $labels.host }}";
in
{
  BackupLate = {
    severity = "ticket";
    forSeconds = 60;
    summary = "${backup} is late.";
    expr = _: ''slipway_backup_late{job="backup",kind!="drill"} == 1'';
  };
  BackupFailed = {
    severity = "ticket";
    forSeconds = 60;
    summary = "${backup} failed.";
    expr = _: ''slipway_backup_failed{job="backup",kind!="drill"} == 1'';
  };
  DrillLate = {
    severity = "ticket";
    forSeconds = 60;
    summary = "The ${drill} is late.";
    expr = _: ''slipway_backup_late{job="backup",kind="drill"} == 1'';
  };
  DrillFailed = {
    severity = "ticket";
    forSeconds = 60;
    summary = "The ${drill} failed.";
    expr = _: ''slipway_backup_failed{job="backup",kind="drill"} == 1'';
  };
  ArchiveBroken = {
    severity = "page";
    forSeconds = 300;
    summary = "Changes of {{ $labels.stack }}'s database on {{ $labels.host }} do not reach the archive.";
    expr = _: ''slipway_backup_archive_ok{job="backup"} == 0'';
  };
}
