# promtool's tests of the alerts, from the data of the files here. For each alert they have
#
#   fault      series while something is wrong, and the alerts that fire at `minutes`: each with its labels and summary.
#              `also` counts further alerts that fire, by name; no others may.
#   healthy    series while all is well, or nearly so: nothing fires at `minutes`
#
# The series have a value each minute, in promtool's notation. All healthy series together are a healthy fleet.
let
  inherit (builtins)
    attrNames
    foldl'
    length
    map
    mapAttrs
    toString
    ;
  cases = foldl' (all: file: all // import file) { } [
    ./hosts.nix
    ./units.nix
    ./stacks.nix
    ./routes.nix
    ./floating.nix
    ./budgets.nix
    ./data.nix
    ./cluster.nix
    ./backups.nix
    ./rollouts.nix
    ./logs.nix
    ./watchers.nix
  ];

  # Fires whatever is the case.
  always.DeadMansSwitch = 1;

  # Which alerts fire, and how many of each.
  firing = minutes: counts: {
    expr = ''count by (alertname) (ALERTS{alertstate="firing"})'';
    eval_time = "${toString minutes}m";
    exp_samples = map (name: {
      labels = ''{alertname="${name}"}'';
      value = counts.${name};
    }) (attrNames counts);
  };
  series = given: {
    interval = "1m";
    input_series = map (name: {
      series = name;
      values = given.${name};
    }) (attrNames given);
  };
  # For an alert whose expression holds from the second minute on.
  enough = rule: rule.forSeconds / 60 + 2;

  fault =
    rules: name:
    let
      rule = rules.${name};
      case = cases.${name}.fault;
      minutes = case.minutes or (enough rule);
      expected = alert: {
        exp_labels = alert.labels // rule.labels // { inherit (rule) severity; };
        exp_annotations = {
          inherit (alert) summary;
          inherit (rule) runbook;
        };
      };
    in
    series case.series
    // {
      name = "${name} fires";
      alert_rule_test = [
        {
          alertname = name;
          eval_time = "${toString minutes}m";
          exp_alerts = map expected case.alerts;
        }
      ];
      promql_expr_test = [
        (firing minutes (always // { ${name} = length case.alerts; } // case.also or { }))
      ];
    };
  healthy =
    rules: name:
    let
      case = cases.${name}.healthy;
    in
    series case.series
    // {
      name = "${name} is quiet";
      promql_expr_test = [
        (firing (case.minutes or (enough rules.${name} + 5)) (always // case.also or { }))
      ];
    };

  # Everything that is well at one time, but for series that tell of earlier trouble.
  fleet =
    let
      whole = builtins.filter (name: !(cases.${name}.healthy ? also)) quiet;
    in
    series (foldl' (all: name: all // cases.${name}.healthy.series) { } whole)
    // {
      name = "a healthy fleet is quiet";
      promql_expr_test = [ (firing 19 always) ];
    };

  quiet = builtins.filter (name: cases.${name} ? healthy) (attrNames cases);
in
{
  inherit cases always;
  file = rules: {
    rule_files = [ "rules.yaml" ];
    evaluation_interval = "1m";
    tests = map (fault rules) (attrNames cases) ++ map (healthy rules) quiet ++ [ fleet ];
  };
}
