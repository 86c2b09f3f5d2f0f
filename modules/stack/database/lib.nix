# Shared by the files about the database: the stacks with a server on this host, and that server.
{ config, lib }:
let
  cluster = import ../../cluster/lib.nix { inherit config lib; };
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  local = lib.filterAttrs (_: stack: stack.database.enable) stacks;
  databases = lib.mapAttrsToList (_: stack: stack.database) local;
  ownerOf =
    stack: if stack.database.owner.role == null then stack.user else stack.database.owner.role;
in
{
  inherit
    stacks
    local
    databases
    ownerOf
    cluster
    ;
  # Whether Postgres runs here at all.
  here = databases != [ ] || cluster.member;
  # Those that use the database of another one, which is here (assertions.nix).
  using = lib.filterAttrs (_: stack: local ? ${toString stack.database.of}) stacks;
  # The database of a stack that owns one; anything else is refused.
  nameOf =
    name:
    let
      db = config.services.slipway.stacks.${name}.database or { of = ""; };
    in
    if db.of == null then db.name else name;
  # The accounts of a stack that log in as each of its roles, by peer.
  accounts =
    stack:
    let
      owned = stack.database.enable && stack.database.owner.role != null;
      asOwner = job: owned && job.before or null == "start";
      programs = lib.attrValues stack.services ++ lib.attrValues stack.jobs;
      users = of: lib.unique (map (program: program.user) of);
    in
    {
      ${stack.user} = users ([ { inherit (stack) user; } ] ++ lib.filter (one: !asOwner one) programs);
    }
    // lib.optionalAttrs owned { ${ownerOf stack} = users (lib.filter asOwner programs); };
  # What all pools of this host may open, with room for people, backups and monitoring.
  connections =
    20
    + lib.foldl' lib.add 0 (
      lib.mapAttrsToList (_: stack: stack.database.connections) (
        lib.filterAttrs (_: stack: stack.database.enable || stack.database.of != null) stacks
      )
    );
  networked = lib.filterAttrs (_: stack: stack.database.network.enable || cluster.member) local;
  # From where a stack's logins come. In a cluster every host of it may be where its programs are.
  networksOf =
    stack:
    lib.unique (
      stack.database.network.addresses
      ++ lib.optionals cluster.member (map cluster.single cluster.clients)
    );
  server = config.services.slipway.database;
  # The folder of the server's socket, and the port that is in the socket's name.
  socket = "/run/postgresql";
  port =
    if cluster.member then cluster.cfg.ports.postgres else config.services.postgresql.settings.port;
  # What runs it.
  inherit (cluster) unit;
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
    cluster.unit
  ]
  ++ lib.optional (!cluster.member && config.systemd.targets ? postgresql) "postgresql.target";
}
