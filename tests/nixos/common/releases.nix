# A host that deploys itself, and systems to roll out: one that works, one whose api does not start, and one that is not
# healthy.
{ lib, pkgs, ... }:
{
  imports = [ ./agent.nix ];

  specialisation = {
    next.configuration = {
      environment.etc.release.text = "next";
      services.slipway.stacks.slipway.api.environment.LOG_LEVEL = "debug";
    };
    broken.configuration.services.slipway.stacks.slipway.api.command = lib.mkForce [
      "${pkgs.coreutils}/bin/false"
    ];
    unhealthy.configuration = {
      environment.etc.release.text = "unhealthy";
      services.slipway.agent.checks.nobody-listens = {
        type = "tcp";
        address = "127.0.0.1:1";
      };
    };
  };
}
