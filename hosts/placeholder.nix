# Takes the place of a real host's hardware-configuration.nix or disko layout: enough to evaluate, not to install.
{ lib, ... }:
{
  boot.loader.grub.device = lib.mkDefault "nodev";
  fileSystems."/" = lib.mkDefault {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  system.stateVersion = lib.mkDefault "26.05";
}
