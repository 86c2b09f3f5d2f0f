# Which alert goes to whom.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  defaults = (import ../../nix/monitoring/alertmanager.nix).grouping;
  severity = [
    "page"
    "ticket"
  ];
  receivers =
    example: description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit example description;
    };
  names =
    pattern: example: description:
    mkOption {
      type = types.listOf (types.strMatching pattern);
      default = [ ];
      inherit example description;
    };

  route = types.submodule {
    options = {
      stacks = names "[a-z0-9-]+" [ "shop" ] "The stacks whose alerts take this route; none means all.";
      hosts = names "[a-z0-9-]+" [ "prod-db" ] "The hosts whose alerts take this route; none means all.";
      alerts = names "[A-Za-z0-9_]+" [ "BackupLate" ] "The alerts that take this route; none means all.";
      severities = mkOption {
        type = types.listOf (types.enum severity);
        default = severity;
        example = [ "page" ];
        description = "The severities that take this route.";
      };
      receivers = mkOption {
        type = types.nonEmptyListOf types.str;
        example = [ "shop-team" ];
        description = "Names of `receivers`, who all get the alert.";
      };
      continue = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether the alert goes on to the next routes as well, and at last to those of its severity.";
      };
    };
  };
in
{
  options.services.slipway.monitoring = {
    severities = {
      page = receivers [ "on-call" ] ''
        The receivers of alerts that wake somebody, unless one of `routes` takes them first.
      '';
      ticket = receivers [ "ops" ] ''
        The receivers of alerts for working hours, unless one of `routes` takes them first.
      '';
    };
    routes = mkOption {
      type = types.listOf route;
      default = [ ];
      example = [
        {
          stacks = [ "shop" ];
          receivers = [ "shop-team" ];
        }
      ];
      description = ''
        Alerts that go to somebody else, such as the team of a stack. The first route that fits counts. An alert that none of
        them takes goes to the receivers of its severity.
      '';
    };
    grouping = {
      labels = mkOption {
        type = types.listOf (types.strMatching "[A-Za-z_][A-Za-z0-9_]*|\\.\\.\\.");
        default = defaults.labels;
        example = [ "host" ];
        description = "Alerts with the same values of these labels come in one message.";
      };
      waitSeconds = mkOption {
        type = types.ints.between 0 600;
        default = defaults.waitSeconds;
        example = 60;
        description = "How long the first message waits for more alerts of its group.";
      };
      intervalSeconds = mkOption {
        type = types.ints.between 1 3600;
        default = defaults.intervalSeconds;
        example = 300;
        description = "How long a group waits before it tells of new or resolved alerts.";
      };
      repeatSeconds = mkOption {
        type = types.ints.between 60 604800;
        default = defaults.repeatSeconds;
        example = 86400;
        description = "After how long an alert that lasts is told again.";
      };
    };
    deadMansSwitch = {
      receiver = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "healthchecks";
        description = ''
          A receiver with a webhook to somebody outside who calls you once it hears nothing any more, such as healthchecks.io
          or Dead Man's Snitch. It hears of the alert `DeadMansSwitch`, which always fires, and of no other.
        '';
      };
      intervalSeconds = mkOption {
        type = types.ints.between 10 3600;
        default = 60;
        example = 300;
        description = "How often it hears.";
      };
    };
  };
}
