# Who may connect, in files whose names stay. NixOS names them by their contents in the server's settings. Every stack that
# comes or goes would then restart the server of all others, where a reload is enough.
{ config, lib, ... }:
let
  inherit (import ./lib.nix { inherit config lib; }) cluster databases;
  cfg = config.services.postgresql;
  files = {
    hba_file = {
      name = "slipway/pg_hba.conf";
      text = cfg.authentication;
    };
    ident_file = {
      name = "slipway/pg_ident.conf";
      text = cfg.identMap;
    };
  };
in
{
  # In a cluster Patroni writes them.
  config = lib.mkIf (databases != [ ] && !cluster.member) {
    environment.etc = lib.mapAttrs' (
      _: file: lib.nameValuePair file.name { inherit (file) text; }
    ) files;
    # NixOS' own values are no defaults, so these are stronger; a host's mkForce still wins.
    services.postgresql.settings = lib.mapAttrs (_: file: lib.mkOverride 90 "/etc/${file.name}") files;
    systemd.services.postgresql.reloadTriggers = lib.mapAttrsToList (
      _: file: config.environment.etc.${file.name}.source
    ) files;
  };
}
