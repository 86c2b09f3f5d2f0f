# The control plane and its fleet. Every worker exports what all of them read, so the rules count a host once. The label
# `name` of these series is the host in question; `host` is the one with the worker.
let
  butHostDown = import ./but-host-down.nix;
  perHost =
    series: ''max by (environment, host) (label_replace(${series}, "host", "$1", "name", "(.+)"))'';
in
{
  # Sent to nobody: Alertmanager keeps back what the rollout explains.
  RolloutOnHost = {
    severity = "info";
    thresholds.afterwardsSeconds = 120;
    summary = "A rollout has {{ $labels.host }} of {{ $labels.environment }} out.";
    expr =
      t: perHost ''max_over_time(slipway_host_out{phase!="stuck"}[${t.afterwardsSeconds}s])'' + " == 1";
  };
  RolloutWaiting = {
    severity = "ticket";
    thresholds.seconds = 900;
    summary = "A rollout of {{ $labels.environment }} has been waiting for a person for {{ $value | humanizeDuration }} ({{ $labels.reason }}).";
    expr = t: "max by (environment, rollout, reason) (slipway_rollout_waiting_seconds) > ${t.seconds}";
  };
  HostStuck = {
    severity = "page";
    summary = "{{ $labels.host }} of {{ $labels.environment }} could not go back to its prior system.";
    expr = _: perHost "slipway_host_stuck" + " == 1";
  };
  HostDrifted = {
    severity = "ticket";
    summary = "{{ $labels.host }} of {{ $labels.environment }} is not as Slipway left it, or behind its release.";
    expr = _: perHost "slipway_host_drift" + " == 1";
  };
  AgentSilent = {
    severity = "ticket";
    thresholds.seconds = 60;
    summary = "The agent of {{ $labels.host }} ({{ $labels.environment }}) has been silent for {{ $value | humanizeDuration }}.";
    # 0 is a host that never came.
    expr =
      t:
      butHostDown "time() - (${perHost "slipway_host_last_seen_timestamp_seconds"} > 0) > ${t.seconds}";
  };
  FleetUnread = {
    severity = "ticket";
    forSeconds = 60;
    thresholds.seconds = 120;
    summary = "No worker has read the state of the fleet for {{ $value | humanizeDuration }}.";
    expr = t: "time() - max by (stack) (slipway_fleet_read_timestamp_seconds) > ${t.seconds}";
  };
  AuditChainBroken = {
    severity = "page";
    summary = "The chain of events of the audit log is not whole.";
    expr = _: "min by (stack) (slipway_audit_verified) == 0";
  };
  AuditUnverified = {
    severity = "ticket";
    forSeconds = 900;
    thresholds.seconds = 3600;
    summary = "Nobody checks the newest events of {{ $labels.stack }}'s audit log.";
    # Also where no check has ever come to its end.
    expr = t: ''
      max by (stack) (slipway_fleet_read_timestamp_seconds)
      unless on (stack) max by (stack) (slipway_audit_verified_timestamp_seconds) > time() - ${t.seconds}
    '';
  };
  AuditUnswept = {
    severity = "ticket";
    forSeconds = 900;
    thresholds.seconds = 86400;
    summary = "The check of all events of {{ $labels.stack }}'s audit log does not come to its end.";
    # The first check has as long as any other, from when the workers were first seen.
    expr = t: ''
      max by (stack) (slipway_fleet_read_timestamp_seconds)
      and on (stack) max by (stack) (last_over_time(slipway_fleet_read_timestamp_seconds[1h] offset ${t.seconds}s))
      unless on (stack) max by (stack) (slipway_audit_swept_timestamp_seconds) > time() - ${t.seconds}
    '';
  };
  AnchorLate = {
    severity = "ticket";
    forSeconds = 60;
    summary = "No head of the audit log has been taken elsewhere from {{ $labels.host }} for too long.";
    expr = _: ''
      time() - slipway_anchor_sent_timestamp_seconds{job="node"}
      > on (host) slipway_anchor_late_after_seconds{job="node"}
    '';
  };
  MessagesDead = {
    severity = "ticket";
    summary = "{{ $value }} messages to {{ $labels.destination }} were given up and wait for a person.";
    expr = _: "max by (stack, destination, kind) (slipway_deliveries_dead) > 0";
  };
  MessagesLate = {
    severity = "ticket";
    thresholds.seconds = 1800;
    summary = "A message to {{ $labels.destination }} has not been taken for {{ $value | humanizeDuration }}.";
    expr = t: "max by (stack, destination, kind) (slipway_delivery_waiting_seconds) > ${t.seconds}";
  };
}
