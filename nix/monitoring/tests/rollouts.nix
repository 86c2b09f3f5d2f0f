let
  # Both workers export what both read.
  worker =
    name:
    ''host="plane",instance="plane/${name}",job="stack",service="worker",stack="slipway",unit="${name}"'';
  both =
    metric: labels: values:
    builtins.listToAttrs (
      map
        (name: {
          name = "${metric}{${worker name}${if labels == "" then "" else ",${labels}"}}";
          value = values;
        })
        [
          "slipway-worker-1"
          "slipway-worker-2"
        ]
    );
  ofHost = ''environment="prod",name="web-1"'';
  labels = {
    environment = "prod";
    host = "web-1";
  };
  plane.stack = "slipway";
in
{
  RolloutOnHost = {
    fault.series = both "slipway_host_out" ''${ofHost},phase="verifying"'' "1x2 _x20";
    # It holds for two minutes more, while alerts of before resolve.
    fault.minutes = 3;
    fault.alerts = [
      {
        inherit labels;
        summary = "A rollout has web-1 of prod out.";
      }
    ];
    # A host that is stuck is nothing to keep back, and neither is one of a rollout that is long over.
    healthy.series =
      both "slipway_host_out" ''${ofHost},phase="stuck"'' "1x20"
      // both "slipway_host_out" ''${ofHost},phase="verifying"'' "1x2 _x20";
  };
  RolloutWaiting = {
    fault.series =
      both "slipway_rollout_waiting_seconds" ''environment="prod",rollout="7",reason="approval"''
        "0+60x40";
    fault.minutes = 20;
    fault.alerts = [
      {
        labels = {
          environment = "prod";
          reason = "approval";
          rollout = "7";
        };
        summary = "A rollout of prod has been waiting for a person for 20m 0s (approval).";
      }
    ];
    healthy.series =
      both "slipway_rollout_waiting_seconds" ''environment="prod",rollout="7",reason="approval"''
        "0+60x10 _x20";
    healthy.minutes = 10;
  };
  HostStuck = {
    fault.series = both "slipway_host_stuck" ofHost "0 1x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1 of prod could not go back to its prior system.";
      }
    ];
    healthy.series = both "slipway_host_stuck" ofHost "0x20";
  };
  HostDrifted = {
    fault.series = both "slipway_host_drift" ofHost "1x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1 of prod is not as Slipway left it, or behind its release.";
      }
    ];
    healthy.series = both "slipway_host_drift" ofHost "0x20";
  };
  AgentSilent = {
    fault.series = both "slipway_host_last_seen_timestamp_seconds" ofHost "30+60x3 210x20";
    fault.minutes = 6;
    fault.alerts = [
      {
        inherit labels;
        summary = "The agent of web-1 (prod) has been silent for 2m 30s.";
      }
    ];
    # One that comes every half minute, one that never came, and one whose host is down.
    healthy.also.HostDown = 1;
    healthy.series = {
      ${''up{host="off",job="node"}''} = "0x120";
    }
    // both "slipway_host_last_seen_timestamp_seconds" ''environment="prod",name="off"'' "30x120"
    // both "slipway_host_last_seen_timestamp_seconds" ofHost "-40+60x120"
    // both "slipway_host_last_seen_timestamp_seconds" ''environment="prod",name="new"'' "0x120";
  };
  FleetUnread = {
    fault.series = both "slipway_fleet_read_timestamp_seconds" "" "30+60x3 210x20";
    fault.minutes = 10;
    fault.alerts = [
      {
        labels = plane;
        summary = "No worker has read the state of the fleet for 6m 30s.";
      }
    ];
    healthy.series = both "slipway_fleet_read_timestamp_seconds" "" "-20+60x120";
  };
  AuditChainBroken = {
    fault.series = both "slipway_audit_verified" "" "1 0x20";
    fault.alerts = [
      {
        labels = plane;
        summary = "The chain of events of the audit log is not whole.";
      }
    ];
    healthy.series = both "slipway_audit_verified" "" "1x20";
  };
  AuditUnverified = {
    fault.series =
      both "slipway_fleet_read_timestamp_seconds" "" "0+60x100"
      // both "slipway_audit_verified_timestamp_seconds" "" "60x100";
    fault.minutes = 80;
    fault.alerts = [
      {
        labels = plane;
        summary = "Nobody checks the newest events of slipway's audit log.";
      }
    ];
    # The first check takes a while.
    healthy.series =
      both "slipway_fleet_read_timestamp_seconds" "" "30+60x120"
      // both "slipway_audit_verified_timestamp_seconds" "" "_x10 300+60x120";
    healthy.minutes = 75;
  };
  AuditUnswept = {
    # New events are checked in time. The check of all events ended once, a day and twenty minutes ago. In another stack the
    # first one took twenty hours, and in a third it has been under way for less than a day.
    fault.series = {
      ${''slipway_fleet_read_timestamp_seconds{stack="slow"}''} = "0+60x1500";
      ${''slipway_audit_verified_timestamp_seconds{stack="slow"}''} = "0+60x1500";
      ${''slipway_audit_swept_timestamp_seconds{stack="slow"}''} = "_x1200 72000x300";
      ${''slipway_fleet_read_timestamp_seconds{stack="young"}''} = "_x200 12060+60x1300";
      ${''slipway_audit_verified_timestamp_seconds{stack="young"}''} = "_x200 12060+60x1300";
    }
    // both "slipway_fleet_read_timestamp_seconds" "" "0+60x1500"
    // both "slipway_audit_verified_timestamp_seconds" "" "0+60x1500"
    // both "slipway_audit_swept_timestamp_seconds" "" "60x1500";
    fault.minutes = 1460;
    fault.alerts = [
      {
        labels = plane;
        summary = "The check of all events of slipway's audit log does not come to its end.";
      }
    ];
    # The first check has not ended yet.
    healthy.series =
      both "slipway_fleet_read_timestamp_seconds" "" "0+60x60"
      // both "slipway_audit_verified_timestamp_seconds" "" "0+60x60";
    healthy.minutes = 40;
  };
  AnchorLate = {
    fault.series = {
      ${''slipway_anchor_sent_timestamp_seconds{host="audit",job="node"}''} = "60x200";
      ${''slipway_anchor_late_after_seconds{host="audit",job="node"}''} = "1800x200";
    };
    fault.minutes = 40;
    fault.alerts = [
      {
        labels.host = "audit";
        summary = "No head of the audit log has been taken elsewhere from audit for too long.";
      }
    ];
    healthy.series = {
      ${''slipway_anchor_sent_timestamp_seconds{host="audit",job="node"}''} = "60x29 1800x200";
      ${''slipway_anchor_late_after_seconds{host="audit",job="node"}''} = "1800x200";
    };
    healthy.minutes = 40;
  };
  MessagesDead = {
    fault.series = both "slipway_deliveries_dead" ''destination="on-call",kind="slack"'' "0 3x20";
    fault.alerts = [
      {
        labels = plane // {
          destination = "on-call";
          kind = "slack";
        };
        summary = "3 messages to on-call were given up and wait for a person.";
      }
    ];
    healthy.series = both "slipway_deliveries_dead" ''destination="on-call",kind="slack"'' "0x20";
  };
  MessagesLate = {
    fault.series =
      both "slipway_delivery_waiting_seconds" ''destination="on-call",kind="slack"''
        "0+60x60";
    fault.minutes = 40;
    fault.alerts = [
      {
        labels = plane // {
          destination = "on-call";
          kind = "slack";
        };
        summary = "A message to on-call has not been taken for 40m 0s.";
      }
    ];
    # One that is taken at the fourth try.
    healthy.series =
      both "slipway_delivery_waiting_seconds" ''destination="on-call",kind="slack"''
        "0+60x12 0x40";
    healthy.minutes = 40;
  };
}
