# services.slipway.agent.bootLoader: what boots the host. systemd-boot and GRUB can be told to boot a release once, before it
# becomes the boot default (docs/rollouts.md).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  inherit (config.boot) loader;
  copies = loader.grub.mirroredBoots;
  # GRUB on several disks may read another copy than the one that was told.
  found =
    if config.boot.isContainer then
      "none"
    else if loader.systemd-boot.enable then
      "systemd-boot"
    else if loader.grub.enable && lib.length copies == 1 then
      "grub"
    else
      "none";
  entries =
    if cfg.bootLoader == "grub" then
      (lib.head copies).path
    else if loader.systemd-boot.xbootldrMountPoint != null then
      loader.systemd-boot.xbootldrMountPoint
    else
      loader.efi.efiSysMountPoint;
in
{
  options.services.slipway.agent.bootLoader = mkOption {
    type = types.enum [
      "systemd-boot"
      "grub"
      "none"
    ];
    default = found;
    defaultText = lib.literalMD "`systemd-boot` or `grub` if the system enables it (GRUB on one disk only), else `none`";
    example = "none";
    description = ''
      What boots the host. With `none`, a rollout that reboots hosts into a release refuses this one before anything is
      touched.
    '';
  };

  config = lib.mkIf (cfg.enable && cfg.bootLoader != "none") {
    systemd.services.slipway-agent = {
      # grub-editenv.
      path = lib.optional (cfg.bootLoader == "grub") pkgs.grub2;
      environment = {
        AGENT_BOOT_LOADER = cfg.bootLoader;
        AGENT_BOOT_DIR = "${entries}";
      }
      // lib.optionalAttrs (cfg.bootLoader == "systemd-boot") {
        AGENT_ESP_DIR = "${loader.efi.efiSysMountPoint}";
      };
    };

    assertions = [
      {
        assertion = cfg.bootLoader != "grub" || lib.length copies == 1;
        message = "services.slipway.agent.bootLoader is grub, and boot.loader.grub.mirroredBoots has ${toString (lib.length copies)} copies: one that was not told would boot the prior; use none.";
      }
    ];
  };
}
