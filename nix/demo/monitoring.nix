# What watches the stack of slipway-dev: the files of Prometheus, Alertmanager and the blackbox exporter, made from
# nix/monitoring as modules/monitoring makes them. JSON, which all three read as YAML.
{
  # A JSON file; crates/bin/dev/src/monitoring/plan.rs writes it.
  plan,
}:
let
  inherit (builtins)
    fromJSON
    mapAttrs
    readFile
    ;
  asked = fromJSON (readFile plan);
  monitoring = import ../monitoring;
  alerts = import ../monitoring/alertmanager.nix;
  scrapes = import ../monitoring/scrapes.nix;
  blackbox = import ../monitoring/blackbox.nix;

  changed =
    name: rule:
    let
      ours = monitoring.rules.all.${name};
    in
    rule
    // {
      forSeconds = rule.forSeconds / asked.forDividedBy;
    }
    // (
      if asked.thresholds ? ${name} then
        { expr = ours.expr (ours.thresholds // asked.thresholds.${name}); }
      else
        { }
    );
  limits = scrapes.defaults // {
    inherit (asked) intervalSeconds;
  };
in
{
  "rules.yaml" = monitoring.rulesFile (mapAttrs changed (monitoring.defaults asked.runbooks));
  "prometheus.yaml" = {
    global = {
      scrape_interval = "${toString asked.intervalSeconds}s";
      evaluation_interval = "${toString asked.intervalSeconds}s";
    };
    rule_files = [ "rules.yaml" ];
    alerting.alertmanagers = [
      { static_configs = [ { targets = [ asked.alertmanager ]; } ]; }
    ];
    scrape_configs =
      map (
        host:
        scrapes.targets (
          limits
          // {
            host = host.name;
            inherit (host) targets;
          }
        )
      ) asked.hosts
      ++ [
        (scrapes.probes (
          limits
          // {
            host = asked.machine;
            inherit (asked) probes;
            exporter = asked.blackbox;
          }
        ))
      ];
  };
  "alertmanager.yaml" = alerts.configuration {
    receivers =
      if asked.webhook == null then
        [ ]
      else
        [
          {
            name = "webhook";
            webhook_configs = [
              {
                url = asked.webhook;
                send_resolved = true;
              }
            ];
          }
        ];
    severities = mapAttrs (_: receivers: if asked.webhook == null then [ ] else receivers) {
      page = [ "webhook" ];
      ticket = [ "webhook" ];
    };
    grouping = if asked.grouping == null then alerts.grouping else asked.grouping;
    deadMansSwitch = {
      receiver = null;
      intervalSeconds = 60;
    };
  };
  "blackbox.yaml" = blackbox { inherit (asked) authority; };
}
