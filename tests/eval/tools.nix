# What suites and snapshots share: hosts with the modules, and stand-ins for our packages.
{ pkgs }:
let
  inherit (pkgs) lib;

  # With a name to run, and nothing inside: no test builds anything.
  standIn = name: (pkgs.writeText name "") // { meta.mainProgram = name; };
  base = {
    imports = [
      ../../modules
      ../../hosts/placeholder.nix
    ];
    networking.hostName = "host-1";
    documentation.enable = false;
    services.slipway.packages = lib.genAttrs [
      "slipway"
      "slipway-agent"
      "slipway-api"
      "slipway-backup"
      "slipway-worker"
    ] standIn;
  };
in
rec {
  inherit lib standIn;
  host = modules: (pkgs.nixos ([ base ] ++ modules)).config;
  refused =
    modules: map (failed: failed.message) (lib.filter (a: !a.assertion) (host modules).assertions);
  stack = options: {
    services.slipway.stacks.shop = lib.mkMerge [
      {
        api.package = standIn "shop";
        worker.package = standIn "shop";
      }
      options
    ];
  };
}
