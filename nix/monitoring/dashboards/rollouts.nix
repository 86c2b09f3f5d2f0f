# Rollouts as they move, and the control plane that drives them.
{
  graph,
  number,
  lines,
  ...
}:
{
  title = "Rollouts";
  description = "Rollouts as they move. Put the id of one into `rollout` to read its log lines.";
  texts = [ "rollout" ];
  rows = [
    {
      height = 4;
      content = [
        (number {
          title = "Rollouts that are open";
          queries = [
            {
              expr = ''sum(max by (state) (slipway_rollouts{state!~"succeeded|reverted|aborted|superseded"}))'';
            }
          ];
        })
        (number {
          title = "Longest wait for a person";
          unit = "s";
          queries = [ { expr = "max(slipway_rollout_waiting_seconds) or vector(0)"; } ];
        })
        (number {
          title = "Rollouts with a worker";
          queries = [ { expr = "sum(slipway_leases)"; } ];
        })
        (number {
          title = "Audit log is whole";
          queries = [ { expr = "min(slipway_audit_verified)"; } ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Hosts that rollouts have out";
          stacked = true;
          queries = [
            {
              expr = "count by (phase) (max by (environment, name, phase) (slipway_host_out))";
              legend = "{{phase}}";
            }
          ];
        })
        (graph {
          title = "Seconds that rollouts wait for people";
          unit = "s";
          queries = [
            {
              expr = "max by (environment, rollout, reason) (slipway_rollout_waiting_seconds)";
              legend = "{{environment}} {{rollout}}: {{reason}}";
            }
          ];
        })
      ];
    }
    {
      content = [
        (graph {
          title = "Changes of state a minute";
          queries = [
            {
              expr = "sum by (machine, to) (rate(slipway_transitions_total[5m])) * 60";
              legend = "{{machine}} {{to}}";
            }
          ];
        })
        (graph {
          title = "Rounds of workers: 99 of 100 are faster";
          unit = "s";
          queries = [
            {
              expr = "histogram_quantile(0.99, sum by (le) (rate(slipway_round_duration_seconds_bucket[5m])))";
              legend = "99 %";
            }
          ];
        })
        (graph {
          title = "Answers to agents a minute";
          queries = [
            {
              expr = "sum by (outcome) (rate(slipway_agent_syncs_total[5m])) * 60";
              legend = "{{outcome}}";
            }
          ];
        })
      ];
    }
    {
      height = 12;
      content = [
        (lines {
          title = "Lines of the rollout";
          description = "From the api, workers and agents, the newest first.";
          query = ''rollout_id:="$rollout"'';
        })
      ];
    }
  ];
}
