# Contradictions in what the stacks ask of the database, each with the option and the cure.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) stacks local server;
  moved = import ../moved.nix { inherit lib; };

  everywhere = address: lib.hasSuffix "/0" address || address == "all";
  duplicates = lib.attrNames (
    lib.filterAttrs (_: owners: lib.length owners > 1) (
      lib.groupBy (name: local.${name}.database.name) (lib.attrNames local)
    )
  );
  reserved = import ../reserved.nix;
  plain = name: builtins.match "[a-z_][a-z0-9_-]{0,30}" name != null && !lib.hasPrefix "pg_" name;
  samePackage = stack: stack.database.package.outPath == server.package.outPath;

  perStack =
    name: stack:
    let
      option = "services.slipway.stacks.${name}.database";
      db = stack.database;
    in
    [
      {
        assertion = !(db.enable && db.urlFile != null);
        message = "${option}.enable and ${option}.urlFile are both set, so it is not clear which server is meant; leave one out.";
      }
      {
        assertion = plain stack.user;
        message = "services.slipway.stacks.${name}.user (${stack.user}) is no name of an account and a role; take up to 31 lower-case letters, digits, `_` and `-`, a letter first, and not `pg_`.";
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
        assertion = db.owner.urlFile == null || (!db.enable && db.urlFile != null);
        message = "${option}.owner.urlFile is for a server elsewhere, beside ${option}.urlFile; for the one on this host name ${option}.owner.role.";
      }
      {
        assertion = !db.network.enable || db.enable;
        message = "${option}.network.enable is set and ${option}.enable is not: there is no server here to listen; set it on the host that has the database.";
      }
    ]
    ++ lib.optionals (db.enable && db.network.enable) [
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
        assertion = lib.all (lib.hasInfix "/") (
          lib.filter (address: !everywhere address) db.network.addresses
        );
        message = "${option}.network.addresses has an address without a prefix length; write 10.0.0.7/32 for one host.";
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
        message = "services.slipway.stacks.*.database.name is ${toString duplicates} for more than one stack; give each stack a database of its own.";
      }
      {
        assertion =
          lib.intersectLists (map (stack: stack.user) (lib.attrValues local)) (
            lib.concatMap (stack: [
              (database.secondLogin stack)
              stack.database.owner.role
            ]) (lib.attrValues local)
          ) == [ ];
        message = "services.slipway.stacks.*.user: the second login of one stack (its user with _2 behind) or its database.owner.role is another stack's role; give that one another user.";
      }
    ];
}
