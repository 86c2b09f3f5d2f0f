# The host's Nix store: what stays in it, what the boot menu keeps, and who may add to it. Each rollout brings one more
# closure to every host, and only this module removes old ones.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.store;
  has = name: test: options.services.slipway ? ${name} && test config.services.slipway.${name};
  # On every host with a stack or an agent.
  used =
    has "stacks" (stacks: lib.any (stack: stack.enable) (lib.attrValues stacks))
    || has "agent" (agent: agent.enable);
in
{
  options.services.slipway.store = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether a host with a stack or an agent collects garbage and keeps the boot menu short, so that its disk does not
        fill. The live system, the boot default and the releases that the agent protects (`agent.keepReleases`) always stay.
      '';
    };
    keepDays = mkOption {
      type = types.ints.between 1 3650;
      default = 30;
      example = 7;
      description = "Days that earlier generations of the system stay. A run every week deletes older ones.";
    };
    bootEntries = mkOption {
      type = types.ints.between 2 100;
      default = 10;
      example = 5;
      description = "The most generations in the boot menu. Each different kernel takes room in /boot.";
    };
    allowedUsers = mkOption {
      type = types.listOf types.str;
      default = [
        "root"
        "@wheel"
      ];
      example = [
        "root"
        "@wheel"
        "build"
      ];
      description = ''
        Users and groups (`@`) that may ask the Nix daemon for anything. Everybody else, users of stacks among them, can add
        nothing to the store.
      '';
    };
  };

  config = lib.mkIf (cfg.enable && used) {
    nix = {
      gc = {
        # An agent does it itself, where no attempt is under way.
        automatic = lib.mkDefault (!has "agent" (agent: agent.enable));
        dates = lib.mkDefault "weekly";
        randomizedDelaySec = lib.mkDefault "1h";
        options = lib.mkDefault "--delete-older-than ${toString cfg.keepDays}d";
      };
      settings.allowed-users = lib.mkDefault cfg.allowedUsers;
    };
    boot.loader = {
      grub.configurationLimit = lib.mkDefault cfg.bootEntries;
      systemd-boot.configurationLimit = lib.mkDefault cfg.bootEntries;
      generic-extlinux-compatible.configurationLimit = lib.mkDefault cfg.bootEntries;
    };
  };
}
