# Before a rollout changes this host, it gives its floating addresses away (services.slipway.agent.hooks).
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  withAgent = options.services.slipway ? agent;
  contract = import ../../nix/contract.nix;
  groups = import ./groups.nix { inherit config lib; };
  shellApplication = import ../../nix/lib/shell-application.nix { inherit pkgs; };
  program = shellApplication {
    name = "slipway-hand-over";
    runtimeInputs = [
      pkgs.bash
      pkgs.coreutils
      pkgs.curl
      pkgs.gnugrep
      pkgs.iproute2
      pkgs.nftables
      pkgs.procps
      config.systemd.package
    ];
    text = builtins.readFile ./hand-over.sh;
  };
  settings =
    name: group:
    pkgs.writeText "floating-${name}" (
      lib.toShellVars {
        inherit (group) interface file addresses;
        port = contract.ports.floating;
        drain = group.handOver.drainSeconds;
        peers = lib.attrValues group.peers;
      }
    );
  hook = name: group: {
    "hand-over-${name}" = {
      when = "before_activate";
      command = [
        (lib.getExe program)
        "${settings name group}"
      ];
      # The drain, and twice three seconds for the address to leave and to be answered elsewhere.
      timeoutSeconds = group.handOver.drainSeconds + 30;
      inherit (group.handOver) onFailure;
    };
  };
in
{
  config = lib.mkMerge [
    (lib.mkIf (groups != { }) {
      # For people, before they work on a host.
      environment = {
        systemPackages = [ program ];
        etc = lib.mapAttrs' (
          name: group: lib.nameValuePair "slipway/floating/${name}" { source = settings name group; }
        ) groups;
      };
    })
    (lib.optionalAttrs (withAgent && options.services.slipway.agent ? hooks) {
      services.slipway.agent.hooks = lib.mergeAttrsList (
        lib.mapAttrsToList hook (lib.filterAttrs (_: group: group.handOver.enable) groups)
      );
    })
  ];
}
