# Contradictions in what the stacks ask of the database, each with the option and the cure.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) stacks local databases;

  everywhere = address: lib.hasSuffix "/0" address || address == "all";
  duplicates = lib.attrNames (
    lib.filterAttrs (_: owners: lib.length owners > 1) (
      lib.groupBy (name: local.${name}.database.name) (lib.attrNames local)
    )
  );
  packages = lib.unique (map (one: one.package.outPath) databases);

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
        assertion = !(db.enable && db.authentication == "scram" && db.passwordFile == null);
        message = "${option}.authentication is scram and ${option}.passwordFile is not set; name a file outside the Nix store, or take peer.";
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
        assertion = db.network.listen != [ ];
        message = "${option}.network.listen is empty, so nothing would listen; name this host's private address.";
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
        assertion = !db.network.tls || (db.network.certificateFile != null && db.network.keyFile != null);
        message = "${option}.network.tls needs ${option}.network.certificateFile and keyFile; give both, or set tls = false on a network that is encrypted itself.";
      }
    ];
in
{
  assertions = lib.concatLists (lib.mapAttrsToList perStack stacks) ++ [
    {
      assertion = duplicates == [ ];
      message = "services.slipway.stacks.*.database.name is ${toString duplicates} for more than one stack; give each stack a database of its own.";
    }
    {
      assertion = lib.length packages <= 1;
      message = "services.slipway.stacks.*.database.package differs between the stacks of this host, which share one server; name the same package in all.";
    }
  ];
}
