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
    # The agent collects where no attempt is under way, so NixOS does not.
    want = [
      kept
      (kept // { collects = false; })
    ];
  }
  {
    name = "a host with an agent collects by age and by free space, at a time that no switch chooses";
    got =
      let
        systemd = (host [ agent ]).systemd;
        unit = systemd.services.slipway-collect;
        words = lib.splitString " " unit.serviceConfig.ExecStart;
      in
      {
        arguments = lib.tail words;
        inherit (unit) restartIfChanged;
        wanted = systemd.timers.slipway-collect.wantedBy;
        started = unit.wantedBy;
      };
    want = {
      arguments = lib.splitString " " "collect --keep-days 30 --every-hours 168 --min-free 10";
      restartIfChanged = false;
      wanted = [ "timers.target" ];
      started = [ ];
    };
  }
  {
    name = "whoever collects otherwise switches it off as a whole";
    got =
      let
        config = host [
          agent
          { services.slipway.store.enable = false; }
        ];
      in
      [
        config.nix.gc.automatic
        (config.systemd.services ? slipway-collect)
      ];
    want = [
      false
      false
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
