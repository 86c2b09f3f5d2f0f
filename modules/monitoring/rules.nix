# Which alerts there are. Slipway's own are defaults, from nix/monitoring/rules.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  monitoring = import ../../nix/monitoring;
  ours = monitoring.rules.all;

  threshold = types.oneOf [
    types.int
    types.float
    types.str
  ];
  thresholdsOf =
    name:
    if ours ? ${name} then
      # Another name is a mistake, and the module system says so.
      types.submodule {
        options = lib.mapAttrs (
          _: default:
          mkOption {
            type = if lib.isString default then types.str else types.either types.int types.float;
            inherit default;
          }
        ) ours.${name}.thresholds;
      }
    else
      types.attrsOf threshold;

  rule = types.submodule (
    {
      name,
      config,
      options,
      ...
    }:
    let
      default = ours.${name};
    in
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether Prometheus evaluates the rule.";
        };
        severity = mkOption {
          type = types.enum [
            "page"
            "ticket"
            "info"
          ];
          example = "ticket";
          description = "`page`: wake somebody. `ticket`: in working hours. `info`: sent to nobody, but it may inhibit others.";
        };
        forSeconds = mkOption {
          type = types.ints.unsigned;
          default = 0;
          example = 300;
          description = "How long the expression must hold before the alert fires.";
        };
        thresholds = mkOption {
          type = thresholdsOf name;
          default = { };
          example = {
            freePercent = 10;
          };
          description = ''
            The numbers and texts of one of Slipway's own rules that a team may change. Their names carry the units. The line
            below its heading in docs/runbooks.md has them. Unused where `expr` is set.
          '';
        };
        summary = mkOption {
          type = types.str;
          example = "{{ $labels.host }} has a long queue.";
          description = "One sentence that says what is wrong, as a template of Prometheus.";
        };
        expr = mkOption {
          type = types.lines;
          example = "sum by (host, stack) (shop_queue_length) > 1000";
          description = ''
            The expression in PromQL. The alert fires for each series in its result. Keep the labels `host` and `stack` where
            there are such, since Alertmanager routes and inhibits by them.
          '';
        };
        runbook = mkOption {
          type = types.str;
          example = "https://wiki.example.com/shop/queue";
          description = "Where people read what the alert means and what to do.";
        };
        labels = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = {
            rollout = "explains";
          };
          description = ''
            Labels of the alert besides those of the series and `severity`. With `rollout = "explains"` it is kept back while
            a rollout has the host out.
          '';
        };
        missing = mkOption {
          type = types.listOf types.str;
          internal = true;
          readOnly = true;
          default = lib.filter (needed: !options.${needed}.isDefined) [
            "severity"
            "expr"
            "summary"
            "runbook"
          ];
          description = "What a rule needs and nobody has said.";
        };
      };
      config = lib.mkIf (ours ? ${name}) {
        severity = lib.mkDefault default.severity;
        forSeconds = lib.mkDefault default.forSeconds;
        summary = lib.mkDefault default.summary;
        labels = lib.mapAttrs (_: lib.mkDefault) default.labels;
        expr = lib.mkDefault (default.expr config.thresholds);
        runbook = lib.mkDefault (monitoring.runbook cfg.runbooks name);
      };
    }
  );
in
{
  options.services.slipway.monitoring = {
    rules = mkOption {
      type = types.attrsOf rule;
      default = { };
      defaultText = lib.literalMD "the rules of docs/runbooks.md";
      example = lib.literalExpression ''
        {
          DiskAlmostFull.thresholds.freePercent = 10;
          RedisEvicts.enable = false;
          ShopQueueLong = {
            severity = "ticket";
            forSeconds = 300;
            expr = "sum by (host, stack) (shop_queue_length) > 1000";
            summary = "{{ $labels.host }} has a long queue.";
            runbook = "https://wiki.example.com/shop/queue";
          };
        }
      '';
      description = ''
        The alerts by name. Slipway's own are there already: each part can be changed, and each can be switched off. A team's
        own rules need `severity`, `expr`, `summary` and `runbook`. The build fails with promtool's words if one is wrong.
      '';
    };
    runbooks = mkOption {
      type = types.str;
      default = monitoring.runbooksPage;
      example = "https://git.example.com/infra/slipway/src/main/docs/runbooks.md";
      description = "The address of docs/runbooks.md, where people can read it at night. Each alert links to its section.";
    };
    ruleFiles = mkOption {
      type = types.listOf types.attrs;
      internal = true;
      default = [ ];
      description = "The contents of rule files for Prometheus.";
    };
  };

  config.services.slipway.monitoring = {
    rules = lib.mapAttrs (_: _: { }) ours;
    ruleFiles = [ (monitoring.rulesFile cfg.rules) ];
  };
}
