# /etc/slipway/stacks/<name>.json: what `slipway verify` checks on this host (docs/cli.md has the form).
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  contract = import ../../nix/contract.nix;
  inherit (config.networking) firewall nftables;

  facts =
    name: stack:
    let
      names = namesOf name stack;
      inherit (stack) proxy;
      # The replicas of the services with this preset.
      units =
        preset:
        lib.concatMap names.replicas (
          lib.attrNames (lib.filterAttrs (_: service: service.preset == preset) stack.services)
        );
      metrics =
        preset:
        map (unit: "http://${stack.metrics.addresses."${unit}.service"}${contract.paths.metrics}") (
          units preset
        );
    in
    {
      version = 1;
      inherit name;
      inherit (stack) controlPlane;
      domain = proxy.mainDomain;
      url = if proxy.mainDomain == null then null else "https://${proxy.mainDomain}";
      api = {
        sockets = map names.socket (units "api");
        metrics = metrics "api";
      };
      worker.metrics = metrics "worker";
      backup =
        if stack.backup.enable or false then
          { statusUrl = "http://127.0.0.1:${toString config.services.slipway.backup.exporter.port}/status"; }
        else
          null;
      units =
        stack.units
        ++ map (job: "${job}.service") names.startJobs
        ++ [ "${names.roll}.service" ]
        ++ stack.requires
        ++ lib.optional (proxy.served != { }) "nginx.service"
        ++ lib.optional firewall.enable (
          if nftables.enable then "nftables.service" else "firewall.service"
        );
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (
      types.submodule {
        options.controlPlane = mkOption {
          type = types.bool;
          default = false;
          internal = true;
          description = "Whether this is Slipway's own stack: only that one has hosts and an audit log to verify.";
        };
      }
    );
  };
  config.environment = lib.mkIf (stacks != { }) {
    etc = lib.mapAttrs' (
      name: stack:
      lib.nameValuePair "slipway/stacks/${name}.json" { text = builtins.toJSON (facts name stack); }
    ) stacks;
    systemPackages = [ config.services.slipway.packages.slipway ];
  };
}
