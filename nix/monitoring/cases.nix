# What nix/lib/tests checks here: every alert has its tests and its section of docs/runbooks.md, and deploy/ is fresh.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    isString
    length
    map
    match
    readFile
    split
    toJSON
    toString
    ;
  monitoring = import ./.;
  rules = monitoring.rules.all;
  names = attrNames rules;
  inherit (monitoring.tests) cases always;
  inherit (import ./alertmanager.nix) covered;

  page = readFile ../../docs/runbooks.md;
  lines = filter isString (split "\n" page);
  sections = concatLists (filter (found: found != null) (map (match "### ([A-Za-z]+)") lines));
  # The line below the heading, which says what the defaults are.
  statement =
    name:
    let
      rule = rules.${name};
      when = if rule.forSeconds == 0 then "at once" else "after ${toString rule.forSeconds} s";
      threshold = key: "; `${key}` is `${toJSON rule.thresholds.${key}}`";
    in
    "*${rule.severity}* ${when}${concatStringsSep "" (map threshold (attrNames rule.thresholds))}";
  has = text: builtins.replaceStrings [ "\n${text}\n" ] [ "" ] page != page;

  rule = {
    enable = true;
    severity = "ticket";
    forSeconds = 0;
    labels = { };
    summary = "It is full.";
    expr = "full > 1";
    runbook = "https://example.com/full";
  };
  alerts =
    given: concatMap (group: map (alert: alert.alert) group.rules) (monitoring.rulesFile given).groups;
  wrong = name: given: {
    inherit name;
    got = filter given names;
    want = [ ];
  };
in
[
  {
    name = "monitoring: alerts with tests";
    got = attrNames cases;
    want = names;
  }
  (wrong "monitoring: an alert without a fault" (name: cases.${name}.fault.alerts or [ ] == [ ]))
  (wrong "monitoring: an alert without a healthy state" (
    name: (cases.${name}.healthy.series or { }) == { } && !(always ? ${name})
  ))
  (wrong "monitoring: a severity that there is not" (
    name:
    !elem rules.${name}.severity [
      "page"
      "ticket"
      "info"
    ]
  ))
  (wrong "monitoring: a summary that is not one sentence" (
    name:
    match "[^.]+[.]" (
      concatStringsSep "" (filter isString (split "[{][{][^}]*[}][}]" rules.${name}.summary))
    ) == null
  ))
  {
    name = "monitoring: sections of docs/runbooks.md";
    got = builtins.sort builtins.lessThan sections;
    want = names;
  }
  (wrong "monitoring: a section of docs/runbooks.md that does not begin with its line" (
    name: !has "### ${name}\n\n${statement name}"
  ))
  {
    name = "monitoring: the link of an alert";
    got = (monitoring.defaults "docs/runbooks.md").HostDown.runbook;
    want = "docs/runbooks.md#hostdown";
  }
  {
    name = "monitoring: a page that keeps back a ticket";
    got = map (pair: "${rules.${pair.page}.severity} ${rules.${pair.ticket}.severity}") covered;
    want = map (_: "page ticket") covered;
  }
  {
    name = "monitoring: words of programs that a notification has as they are";
    got = length (
      split "[.](Value|Annotations[.]summary) ?[}][}]|[{][{] ?[.] ?[}][}]" (readFile ./notifications.tmpl)
    );
    # Two pieces and what is between them: the address of the runbook, which no program chooses.
    want = 3;
  }
  {
    name = "monitoring: an alert of a team";
    got = monitoring.rulesFile { Full = rule; };
    want.groups = [
      {
        name = "own";
        rules = [
          {
            alert = "Full";
            expr = "full > 1";
            labels.severity = "ticket";
            annotations = {
              summary = "It is full.";
              runbook = "https://example.com/full";
            };
          }
        ];
      }
    ];
  }
  {
    name = "monitoring: labels that an alert sets itself are not those of its series";
    got =
      (builtins.head
        (builtins.head
          (monitoring.rulesFile {
            Full = rule // {
              labels = {
                team = "shop";
                tier = "gold";
              };
            };
          }).groups
        ).rules
      ).expr;
    want = "max without (team, tier) (\nfull > 1\n)";
  }
  {
    name = "monitoring: an alert that is switched off";
    got = alerts {
      Full = rule // {
        enable = false;
      };
      HostDown = rule;
    };
    want = [ "HostDown" ];
  }
  {
    name = "monitoring: a threshold";
    got = rules.RedisEvicts.expr { keysPerSecond = 0.5; };
    want = ''rate(redis_evicted_keys_total{job="redis"}[15m]) > 0.5'';
  }
]
++ map (path: {
  name = "deploy/monitoring/${path}, which `nix run .#render` writes, is as nix/monitoring has it";
  got = readFile (../../deploy/monitoring + "/${path}") == monitoring.files.${path};
  want = true;
}) (attrNames monitoring.files)
