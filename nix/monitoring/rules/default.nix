# Every alert as data, in groups that Prometheus evaluates at one time. modules/monitoring/rules.nix makes options of them.
#
#   severity     page: wake somebody; ticket: in working hours; info: sent to nobody
#   forSeconds   how long the expression must hold
#   thresholds   numbers and texts that teams change, with their units in the names
#   expr         a function from the thresholds, each as PromQL writes it, to the expression
#   labels       for Alertmanager, besides the severity. rollout = "explains": kept back while a rollout has the host out
#   summary      one sentence, a template of Prometheus
#
# Metrics come with the labels of their targets (docs/observability.md): host, job, unit, and stack, service, domain and
# url where there are such. tests/ has the fault and the healthy state of each alert, docs/runbooks.md its section.
let
  budgets = import ./budgets.nix;
  groups = {
    hosts.rules = import ./hosts.nix;
    units.rules = import ./units.nix;
    stacks.rules = import ./stacks.nix;
    routes.rules = import ./routes.nix;
    floating.rules = import ./floating.nix;
    # They read hours and days of series, and need not see every scrape.
    budgets = {
      intervalSeconds = 60;
      rules = budgets.fast;
    };
    slow-budgets = {
      intervalSeconds = 300;
      rules = budgets.slow;
    };
    data.rules = import ./data.nix;
    cluster.rules = import ./cluster.nix;
    backups.rules = import ./backups.nix;
    rollouts.rules = import ./rollouts.nix;
    logs.rules = import ./logs.nix;
    watchers.rules = import ./watchers.nix;
  };

  complete =
    group: name: rule:
    {
      forSeconds = 0;
      thresholds = { };
      labels = { };
    }
    // rule
    // {
      inherit group;
      expr = thresholds: rule.expr (builtins.mapAttrs (_: builtins.toJSON) thresholds);
    };
in
{
  intervals = builtins.mapAttrs (_: group: group.intervalSeconds or null) groups;
  # By name; `group` is the name of the group.
  all = builtins.foldl' (
    all: group: all // builtins.mapAttrs (complete group) groups.${group}.rules
  ) { } (builtins.attrNames groups);
}
