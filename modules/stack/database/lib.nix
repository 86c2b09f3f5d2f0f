# What the files about the database share: the stacks with a server on this host, and that server.
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
  # The stack's logins: the role itself, and a second one that is the role in all but its password.
  secondLogin = stack: "${stack.user}_2";
  # The passwords that this host gives to roles: by which option, as which credential, and to which login, a word of the
  # shell in setup.nix.
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
  # 25.11 put a target around the server and what is set up in it.
  units = [
    "postgresql.service"
  ]
  ++ lib.optional (config.systemd.targets ? postgresql) "postgresql.target";
}
