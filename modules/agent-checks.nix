# services.slipway.agent.checks: the closure's /etc/slipway/checks.json. The agent runs these checks once it is live.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  health = import ./stack/health.nix {
    inherit
      config
      lib
      pkgs
      utils
      ;
  };
  contract = import ../nix/contract.nix;

  check =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
          defaultText = lib.literalMD "the attribute's name";
          example = "shop over http";
          description = "The check's name, for people; unique.";
        };
        type = mkOption {
          type = types.enum [
            "http"
            "tcp"
            "command"
            "systemd"
          ];
          example = "http";
          description = "What the check does: GET `url`, connect to `address`, run `command`, or ask whether `unit` is active.";
        };
        url = mkOption {
          type = types.nullOr (types.strMatching "http://.+");
          default = null;
          example = "http://127.0.0.1:8081/api/v1/monitoring/health";
          description = "For type `http`: an address on this machine, without TLS.";
        };
        expectStatus = mkOption {
          type = types.nullOr (types.ints.between 100 599);
          default = null;
          example = 204;
          description = "For type `http`: the status that passes; null means 200.";
        };
        address = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "127.0.0.1:5432";
          description = "For type `tcp`: host and port.";
        };
        command = mkOption {
          type = types.nullOr (types.listOf types.str);
          default = null;
          example = [ "/run/current-system/sw/bin/my-check" ];
          description = "For type `command`: the program by its absolute path, and its arguments. Status 0 passes.";
        };
        unit = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "nginx.service";
          description = "For type `systemd`: the unit, with its suffix.";
        };
        timeoutSeconds = mkOption {
          type = types.nullOr (types.ints.between 1 300);
          default = null;
          example = 10;
          description = "Seconds until the check counts as failed; null means 5, and 30 for commands.";
        };
      };
    };

  # For each type the option that it needs, and those that it may have.
  needs = {
    http = "url";
    tcp = "address";
    command = "command";
    systemd = "unit";
  };
  given =
    item:
    lib.filterAttrs (_: value: value != null) {
      inherit (item)
        name
        type
        url
        address
        command
        unit
        ;
      expect_status = item.expectStatus;
      timeout_seconds = item.timeoutSeconds;
    };
  allowed =
    item:
    [
      "name"
      "type"
      needs.${item.type}
    ]
    ++ lib.optional (item.type == "http") "expect_status"
    ++ lib.optional (item.type != "systemd") "timeout_seconds";
  stray = item: lib.subtractLists (allowed item) (lib.attrNames (given item));

  stacks = lib.filterAttrs (_: stack: stack.enable) (config.services.slipway.stacks or { });
  # Of other programs than an api, which is asked through the proxy: each replica, as health.ready asks it. What a command
  # says is known by its unit.
  ofService =
    stack: key: service:
    let
      asked =
        service.preset == null
        && lib.any (probe: probe ? http || probe ? tcp) [
          service.health.ready
          service.health.live
        ];
    in
    lib.optionalAttrs asked (
      lib.listToAttrs (
        lib.imap1 (n: address: {
          name = "${stack}-${key}-${toString n} answers";
          value = {
            type = "command";
            command = health.once service address;
            timeoutSeconds = service.health.timeoutSeconds + 1;
          };
        }) service.addresses
      )
    );
  ofStack =
    name: stack:
    lib.listToAttrs (
      map (unit: {
        name = unit;
        value = {
          type = "systemd";
          inherit unit;
        };
      }) stack.units
    )
    // lib.concatMapAttrs (ofService name) stack.services
    // lib.optionalAttrs (stack.proxy.ping or false) {
      "${name} is healthy" = {
        type = "http";
        url = "http://127.0.0.1:${toString stack.proxy.pingPort}${contract.paths.health}";
        timeoutSeconds = 10;
      };
    };
in
{
  options.services.slipway.agent.checks = mkOption {
    type = types.attrsOf (types.submodule check);
    default = { };
    example = {
      nginx = {
        type = "systemd";
        unit = "nginx.service";
      };
    };
    description = ''
      Checks by name that must pass on this host for a release to stay. Every stack of the host adds its own: its
      units, where each replica answers, and the health of its api behind the proxy. A system needs at least one check.
    '';
  };

  config = lib.mkIf cfg.enable {
    services.slipway.agent.checks = lib.mkMerge (lib.mapAttrsToList ofStack stacks);
    environment.etc."slipway/checks.json".text = builtins.toJSON {
      checks = map given (lib.attrValues cfg.checks);
    };
    assertions = [
      {
        assertion = cfg.checks != { };
        message = "services.slipway.agent.checks is empty: nothing would tell a good release from a bad one, and agents refuse such a system; name a unit or an address that must work.";
      }
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: item:
        let
          option = "services.slipway.agent.checks.\"${name}\"";
        in
        [
          {
            assertion = given item ? ${needs.${item.type}};
            message = "${option}.${needs.${item.type}} is not set; a check of type ${item.type} needs it.";
          }
          {
            assertion = stray item == [ ];
            message = "${option} sets ${toString (stray item)}, which a check of type ${item.type} does not have; remove it or change the type.";
          }
        ]
      ) cfg.checks
    );
  };
}
