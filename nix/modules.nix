# nixosModules: the files of modules/ with the flake's own packages for defaults.
{ self, agenix }:
let
  packages = {
    # One key, so that importing two of the modules imports this once.
    key = "slipway#packages";
    imports = [
      ../modules/packages.nix
      (
        { lib, pkgs, ... }:
        {
          services.slipway.packages = lib.mapAttrs (
            _: lib.mkDefault
          ) self.packages.${pkgs.stdenv.hostPlatform.system};
        }
      )
    ];
  };
  withPackages = file: {
    imports = [
      packages
      file
    ];
  };
in
builtins.mapAttrs (_: withPackages) {
  default = ../modules;
  stack = ../modules/stack;
  control-plane = ../modules/control-plane.nix;
  agent = ../modules/agent.nix;
  network = ../modules/network.nix;
  telemetry = ../modules/telemetry;
  monitoring = ../modules/monitoring;
}
// {
  # Apart from `default`: other tools can give secrets as well.
  agenix.imports = [
    agenix.nixosModules.default
    ../modules/agenix.nix
  ];
}
