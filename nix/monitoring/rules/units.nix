# systemd's units, and the scheduled jobs of stacks.
let
  # The label `unit` is the one that logs have. What the exporter says of other units has the exporter's own.
  ofUnit = series: ''label_replace(${series}, "unit", "$1", "name", "(.+?)([.]service)?")'';
  # The textfile's label `job` comes second to the target's. The one of the target also says that no stack made the metric up.
  job = metric: ''label_join(${metric}{job="node"} == 1, "unit", "-", "stack", "exported_job")'';
  backup = ''label_join(slipway_backup_failed{job="backup"} == 1, "unit", "-backup-", "stack", "kind")'';
in
{
  UnitFailed = {
    severity = "ticket";
    forSeconds = 60;
    labels.rollout = "explains";
    summary = "{{ $labels.unit }} of {{ $labels.host }} has failed.";
    # Jobs and backups have alerts of their own, which say more.
    expr = _: ''
      ${ofUnit ''node_systemd_unit_state{job="node",state="failed",name!~".+-late[.]service"} == 1''}
      unless on (host, unit) ${job "slipway_job_failed"}
      unless on (host, unit) ${backup}
    '';
  };
  UnitRestarts = {
    severity = "ticket";
    thresholds = {
      restarts = 3;
      windowSeconds = 900;
    };
    labels.rollout = "explains";
    summary = "systemd has restarted {{ $labels.unit }} of {{ $labels.host }} {{ printf \"%.0f\" $value }} times within minutes.";
    expr =
      t:
      ofUnit ''increase(node_systemd_service_restart_total{job="node"}[${t.windowSeconds}s]) > ${t.restarts}'';
  };
  JobFailed = {
    severity = "ticket";
    summary = "The last run of the job {{ $labels.unit }} on {{ $labels.host }} failed.";
    expr = _: job "slipway_job_failed";
  };
  JobLate = {
    severity = "ticket";
    summary = "No run of the job {{ $labels.unit }} on {{ $labels.host }} has succeeded for too long.";
    expr = _: job "slipway_job_late";
  };
}
