# Shared by the files about the database: the stacks with a server on this host, and that server.
{ config, lib }:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  local = lib.filterAttrs (_: stack: stack.database.enable) stacks;
  external = lib.filterAttrs (_: stack: stack.database.urlFile != null) stacks;
  databases = lib.mapAttrsToList (_: stack: stack.database) local;
in
{
  inherit
    stacks
    local
    external
    databases
    ;
  networked = lib.filterAttrs (_: stack: stack.database.network.enable) local;
  server = config.services.slipway.database;
  # The folder of the server's socket, and the port that is in the socket's name.
  socket = "/run/postgresql";
  inherit (config.services.postgresql.settings) port;
  # The stack's logins: the role itself, and a second one that differs only in its password.
  secondLogin = stack: "${stack.user}_2";
  # The passwords of roles: the option, the name of the credential, and the login as a word of the shell in setup.nix.
  passwords =
    stack:
    let
      db = stack.database;
    in
    lib.filter (one: one.file != null) [
      {
        option = "passwordFile";
        credential = "password";
        file = db.passwordFile;
        login = ''"$role"'';
      }
      {
        option = "secondPasswordFile";
        credential = "second-password";
        file = db.secondPasswordFile;
        login = ''"$second"'';
      }
      {
        option = "owner.passwordFile";
        credential = "owner-password";
        file = db.owner.passwordFile;
        login = ''"$owner"'';
      }
    ];
  # NixOS 25.11 added a target around the server and its setup.
  units = [
    "postgresql.service"
  ]
  ++ lib.optional (config.systemd.targets ? postgresql) "postgresql.target";
}
