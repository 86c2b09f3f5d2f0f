# The default programs of the modules. The flake's modules set them to its own packages.
{ lib, ... }:
{
  options.services.slipway.packages = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.package;
    default = { };
    internal = true;
    description = "Packages of Slipway by name: slipway, slipway-api, slipway-worker, slipway-agent, slipway-backup.";
  };
}
