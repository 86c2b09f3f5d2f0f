# Contradictions in what the stacks ask of the database, each with the option and the cure.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database)
    cluster
    stacks
    local
    server
    using
    ;
  cfg = config.services.postgresql;
  moved = import ../moved.nix { inherit lib; };

  inherit (import ../../../nix/stack/texts.nix { inherit lib; }) isNetwork;
  everywhere = address: lib.hasSuffix "/0" address || address == "all";
  duplicates = lib.attrNames (
    lib.filterAttrs (_: owners: lib.length owners > 1) (
      lib.groupBy (name: local.${name}.database.name) (lib.attrNames local)
    )
  );
  reserved = import ../reserved.nix;
  plain =
    name:
    builtins.match "[a-z_][a-z0-9_-]{0,30}" name != null
    && !lib.hasPrefix "pg_" name
    && !lib.elem name reserved.roles;
  # The options that make each role.
  made = lib.concatLists (
    lib.mapAttrsToList (
      name: stack:
      let
        option = "services.slipway.stacks.${name}";
        role = option: role: { inherit option role; };
      in
      [ (role "${option}.user" stack.user) ]
      ++ lib.optionals (local ? ${name}) (
        [
          (role "${option}.user (its second login)" (database.secondLogin stack))
          (role "${option}.database.name (who may read)" "${stack.database.name}_read")
          (role "${option}.database.name (who may write)" "${stack.database.name}_write")
        ]
        ++ lib.optional (stack.database.owner.role != null) (
          role "${option}.database.owner.role" stack.database.owner.role
        )
      )
    ) (local // using)
  );
  roles = lib.groupBy (one: one.role) made;
  shared = lib.mapAttrs (_: map (one: one.option)) (lib.filterAttrs (_: of: lib.length of > 1) roles);
  theirs = lib.intersectLists (map (user: user.name) cfg.ensureUsers) (lib.attrNames roles);
  taken = lib.intersectLists cfg.ensureDatabases (map (db: db.name) database.databases);
  inherit (database) connections;
  most = cfg.settings.max_connections or server.maxConnections;
  samePackage = stack: stack.database.package.outPath == server.package.outPath;

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}.database";
      db = stack.database;
      foreign = lib.intersectLists db.readers (lib.attrNames roles ++ reserved.users ++ reserved.roles);
    in
    [
      {
        assertion = plain stack.user;
        message = "services.slipway.stacks.${name}.user (${stack.user}) is no name of an account and a role; take up to 31 lower-case letters, digits, `_` and `-`, a letter first, and neither `pg_`, public nor none.";
      }
      {
        assertion = !(db.enable || db.of != null) || db.user == stack.user;
        message = "${option}.user is ${db.user}, and the server on this host knows a stack by its account: leave ${option}.user out, and set services.slipway.stacks.${name}.user.";
      }
      {
        assertion =
          !(db.enable || db.of != null)
          || db.port == (if cluster.member then cluster.cfg.ports.leader else database.port);
        message = "${option}.port is of a server elsewhere: leave it out, and set services.postgresql.settings.port for the one on this host.";
      }
      {
        assertion = !(db.enable && lib.elem db.name reserved.databases);
        message = "${option}.name is ${db.name}, a database of the server itself; take another name.";
      }
      {
        assertion = !db.enable || samePackage stack;
        message = "${option}.package is not the one of the server on this host; set services.slipway.database.package, and leave this one to stacks whose server is elsewhere.";
      }
      {
        assertion = db.secondPasswordFile == null || db.passwordFile != null;
        message = "${option}.secondPasswordFile is set and ${option}.passwordFile is not, so there is no first login to change; set both.";
      }
      {
        assertion = !(db.enable && db.authentication == "scram" && db.passwordFile == null);
        message = "${option}.authentication is scram and ${option}.passwordFile is not set; name a file outside the Nix store, or take peer.";
      }
      {
        assertion = !lib.elem db.owner.role (reserved.users ++ [ stack.user ]);
        message = "${option}.owner.role is ${toString db.owner.role}, which is a role with other rights; take a name of its own, such as ${stack.user}-owner, or leave it out.";
      }
      {
        assertion =
          !(
            db.enable && db.owner.role != null && db.authentication == "scram" && db.owner.passwordFile == null
          );
        message = "${option}.authentication is scram and ${option}.owner.passwordFile is not set; name a file outside the Nix store, or take peer.";
      }
      {
        assertion = db.readers == [ ] || db.enable;
        message = "${option}.readers is set and ${option}.enable is not: name the accounts where the stack has its own database on this host.";
      }
      {
        assertion = foreign == [ ];
        message = "${option}.readers names ${toString foreign}, a role of a stack or of the server: let another stack read with its own database.of, and leave the others out.";
      }
      {
        assertion = db.of != null || db.rights == "read";
        message = "${option}.rights is for the database of another stack: name that stack in ${option}.of, or leave it out.";
      }
      {
        assertion = !db.network.enable || db.enable;
        message = "${option}.network.enable is set and ${option}.enable is not: there is no server here to listen; set it on the host that has the database.";
      }
    ]
    ++ lib.optionals (db.of != null) [
      {
        assertion = using ? ${name};
        message = "${option}.of is ${db.of}, which is no enabled stack with a database of its own on this host; ${
          if local == { } then
            "set services.slipway.stacks.${db.of}.database.enable, or leave it out"
          else
            "name one of: ${toString (lib.attrNames local)}"
        }.";
      }
      {
        assertion = !db.enable && db.host == null && db.urlFile == null;
        message = "${option}.of names another stack's database, and ${option}.enable, host or urlFile another server: leave one out.";
      }
      {
        assertion = db.name == database.nameOf db.of;
        message = "${option}.name is not the one of services.slipway.stacks.${db.of}.database: leave it out.";
      }
      {
        assertion =
          db.authentication == "peer"
          && lib.all (value: value == null) [
            db.passwordFile
            db.secondPasswordFile
            db.owner.role
            db.owner.passwordFile
          ]
          && db.extensions { } == [ ];
        message = "${option}.of takes the database as it is, by the account of this stack: leave authentication, passwords, owner and extensions to services.slipway.stacks.${db.of}.database.";
      }
    ]
    ++ lib.optionals (db.enable && cluster.member) [
      {
        assertion = db.authentication == "scram" && db.readers == [ ] && db.network.tls;
        message = "${option}.authentication, readers and network.tls are for the socket of one host; in a cluster (services.slipway.cluster) who leads changes, so all come by name with TLS and a password: leave the three out.";
      }
    ]
    ++ [
      {
        assertion = !db.cluster || cluster.enable && !cluster.member;
        message =
          if cluster.member then
            "${option}.cluster is for clients, and this host is a member of the cluster: set ${option}.enable."
          else
            "${option}.cluster is set and services.slipway.cluster.enable is not, so there is no cluster: set it, with role = \"client\".";
      }
      {
        assertion = db.of == null || !cluster.member;
        message = "${option}.of is for one host, where the socket knows the account; in a cluster give this stack a database of its own, or a role that the other stack's migrations make.";
      }
    ]
    ++ lib.optionals (db.enable && db.network.enable && !cluster.member) [
      {
        assertion = db.passwordFile != null;
        message = "${option}.network.enable needs ${option}.passwordFile: over the network the role proves itself by a password.";
      }
      {
        assertion = server.network.listen != [ ];
        message = "${option}.network.enable is set and services.slipway.database.network.listen is empty, so nothing would listen; name this host's private address there.";
      }
      {
        assertion = db.network.addresses != [ ];
        message = "${option}.network.addresses is empty, so nobody could connect; name the networks of the stack's other hosts, such as \"10.0.0.0/24\".";
      }
      {
        assertion = lib.all (address: isNetwork address || everywhere address) db.network.addresses;
        message = "${option}.network.addresses takes addresses with the length of a prefix; write 10.0.0.0/24, or 10.0.0.7/32 for one host.";
      }
      {
        assertion = db.network.tls || !lib.any everywhere db.network.addresses;
        message = "${option}.network.addresses lets the whole Internet in and ${option}.network.tls is off: passwords and data would travel in the clear; turn tls on, or name private networks.";
      }
      {
        assertion =
          !db.network.tls || (server.network.certificateFile != null && server.network.keyFile != null);
        message = "${option}.network.tls needs services.slipway.database.network.certificateFile and keyFile; give both, or set tls = false on a network that is encrypted itself.";
      }
    ];
in
{
  options.services.slipway.stacks = lib.mkOption {
    type = lib.types.attrsOf (lib.types.submodule { inherit (moved) options; });
  };

  config.assertions =
    lib.concatLists (lib.mapAttrsToList perStack stacks)
    ++ moved.assertions stacks
    ++ [
      {
        assertion = duplicates == [ ];
        message = "services.slipway.stacks.*.database.name is ${toString duplicates} for more than one stack; give each stack a database of its own, or let one use the other's with database.of.";
      }
      {
        assertion = shared == { };
        message = "${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (
              role: options: "${lib.concatStringsSep " and " options} make the role ${role}"
            ) shared
          )
        }: give each stack another user and owner.";
      }
      {
        assertion = theirs == [ ];
        message = "services.postgresql.ensureUsers and services.slipway.stacks both have ${toString theirs}, and a stack's role reaches no other database: rename it in ensureUsers, or give the stack another user.";
      }
      {
        assertion = taken == [ ];
        message = "services.postgresql.ensureDatabases and services.slipway.stacks.*.database.name both have ${toString taken}: rename one of them.";
      }
      {
        assertion = connections <= most;
        message = "services.slipway.database.maxConnections is ${toString most}, and the stacks of this host may open ${toString connections} with their pools: set it to that or more, or lower replicas or DATABASE_POOL_SIZE of the stacks.";
      }
    ];
}
