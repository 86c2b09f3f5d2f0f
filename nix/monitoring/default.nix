# What watches a fleet, as data: only builtins, so that it is evaluated without NixOS, and the committed copies in
# deploy/monitoring/ are checked on any machine.
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    mapAttrs
    replaceStrings
    toString
    ;
  json = import ../lib/json.nix;
  yaml = import ../lib/yaml.nix;
  dashboards = import ./dashboards;
  rules = import ./rules;
  tests = import ./tests;
  example = import ./example.nix;

  letters = text: filter (letter: letter != "" && letter != [ ]) (builtins.split "" text);
  lower = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    letters "abcdefghijklmnopqrstuvwxyz"
  );

  # Of rules that are not ours.
  ownGroup = "own";
  groupOf = name: rules.all.${name}.group or ownGroup;

  # Of two series that differ only in a label that the rule itself sets, Prometheus would make one alert: it refuses the whole
  # rule then, for all hosts. So the program's own label goes first.
  apart =
    labels: expr:
    if labels == [ ] then
      expr
    else
      "max without (${builtins.concatStringsSep ", " labels}) (\n${expr}\n)";

  # { enable, severity, forSeconds, labels, summary, expr, runbook } by name -> the content of a rules file.
  rulesFile =
    given:
    let
      names = filter (name: given.${name}.enable) (attrNames given);
      alert =
        name:
        let
          rule = given.${name};
        in
        {
          alert = name;
          expr = apart (attrNames rule.labels) rule.expr;
          labels = rule.labels // {
            inherit (rule) severity;
          };
          annotations = { inherit (rule) runbook summary; };
        }
        // (if rule.forSeconds == 0 then { } else { for = "${toString rule.forSeconds}s"; });
      group =
        name:
        let
          interval = rules.intervals.${name} or null;
          members = filter (rule: groupOf rule == name) names;
        in
        if members == [ ] then
          [ ]
        else
          [
            (
              {
                inherit name;
                rules = map alert members;
              }
              // (if interval == null then { } else { interval = "${toString interval}s"; })
            )
          ];
    in
    {
      groups = concatMap group (attrNames rules.intervals ++ [ ownGroup ]);
    };

  # Our rules as they are unless somebody changes them. `page` is the address of docs/runbooks.md.
  runbook = page: name: "${page}#${lower name}";
  defaults =
    page:
    mapAttrs (
      name: rule:
      rule
      // {
        enable = true;
        expr = rule.expr rule.thresholds;
        runbook = runbook page name;
      }
    ) rules.all;

  # Where the page is, for who has a checkout of Slipway at hand.
  runbooksPage = "docs/runbooks.md";
in
{
  inherit
    dashboards
    defaults
    rules
    rulesFile
    runbook
    runbooksPage
    tests
    ;
  # By path in deploy/monitoring/.
  files = {
    "rules.yaml" = yaml.document (rulesFile (defaults runbooksPage));
    "rules.test.yaml" = yaml.document (tests.file (defaults runbooksPage));
    "prometheus.yaml" = yaml.document example.prometheus;
    "alertmanager.yaml" = yaml.document example.alertmanager;
    "blackbox.yaml" = yaml.document example.blackbox;
    "notifications.tmpl" = builtins.readFile ./notifications.tmpl;
  }
  // builtins.listToAttrs (
    map (name: {
      name = "dashboards/${name}.json";
      value = json.document dashboards.${name};
    }) (attrNames dashboards)
  );
}
