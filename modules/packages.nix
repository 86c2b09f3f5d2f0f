# The programs that the modules run by default. The flake's modules fill this in with its own packages.
{ lib, ... }:
{
  options.services.slipway.packages = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.package;
    default = { };
    internal = true;
    description = "Packages of Slipway by name: slipway, slipway-api, slipway-worker, slipway-agent, slipway-backup.";
  };
}
