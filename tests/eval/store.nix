# No host fills its disk with old systems, and no user of its stacks can add to the store.
{
  host,
  stack,
  lib,
  ...
}:
let
  agent.services.slipway.agent = {
    enable = true;
    apiUrl = "https://deploy.example.com";
    tokenFile = "/run/secrets/agent-token";
  };
  of =
    modules:
    let
      inherit (host modules) boot nix;
    in
    {
      collects = nix.gc.automatic;
      inherit (nix.gc) options;
      grub = boot.loader.grub.configurationLimit;
      systemdBoot = boot.loader.systemd-boot.configurationLimit;
      users = nix.settings.allowed-users;
    };
  kept = {
    collects = true;
    options = "--delete-older-than 30d";
    grub = 10;
    systemdBoot = 10;
    users = [
      "root"
      "@wheel"
    ];
  };
in
[
  {
    name = "a host with a stack, and one with an agent alone, collects garbage and keeps a short boot menu";
    got = map of [
      [ (stack { }) ]
      [ agent ]
    ];
    want = [
      kept
      kept
    ];
  }
  {
    name = "a host with neither stays as it is";
    got =
      (of [
        (stack { enable = false; })
      ]).collects;
    want = false;
  }
  {
    name = "the host has the last word";
    got = of [
      (stack { })
      {
        nix.gc.automatic = false;
        nix.gc.options = "";
        boot.loader.grub.configurationLimit = 3;
        boot.loader.systemd-boot.configurationLimit = 4;
        nix.settings.allowed-users = [ "*" ];
      }
    ];
    want = {
      collects = false;
      options = "";
      grub = 3;
      systemdBoot = 4;
      users = [ "*" ];
    };
  }
  {
    name = "no user of a stack may ask the Nix daemon";
    got =
      let
        config = host [ (stack { }) ];
      in
      lib.intersectLists config.users.users.shop.extraGroups [ "wheel" ];
    want = [ ];
  }
]
