# Where a host with programs has its data: on the cluster, whoever leads. It takes the place of ../prod/data.nix in the imports
# of ../prod/app.nix, and of any other host with a stack.
{ config, ... }:
let
  secrets = ../../secrets/prod;
  inherit (config.services.slipway.agenix) files;
in
{
  services.slipway = {
    cluster = import ./cluster.nix // {
      enable = true;
      role = "client";
    };
    # The passwords are those that the members have.
    stacks.slipway = {
      database = {
        cluster = true;
        passwordFile = files.database-password.path;
        owner = {
          role = "slipway-owner";
          passwordFile = files.database-owner-password.path;
        };
      };
      cache.cluster = true;
    };
    agenix.files = {
      database-password = {
        file = secrets + "/slipway-database-password.age";
        restartUnits = [ "slipway-roll" ];
      };
      database-owner-password = {
        file = secrets + "/slipway-database-owner-password.age";
        restartUnits = [ "slipway-roll" ];
      };
    };
  };
}
