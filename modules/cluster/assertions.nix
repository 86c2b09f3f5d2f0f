# What cannot be meant of a cluster, with the option and the cure.
{
  config,
  lib,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  database = import ../stack/database/lib.nix { inherit config lib; };
  inherit (cluster) cfg name;
  option = "services.slipway.cluster";
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isHost;

  names = lib.attrNames cfg.members;
  count = lib.length names;
  byAddress = lib.groupBy (member: cfg.members.${member}.address) names;
  doubled = lib.filterAttrs (_: members: lib.length members > 1) byAddress;
  unfit = lib.filter (member: !isHost cfg.members.${member}.address) names;
  missing = lib.filter (what: cfg.${what} == null) (
    [ "authority" ]
    ++ lib.optionals cluster.member [
      "certificate"
      "key"
      "replicationPasswordFile"
      "rewindPasswordFile"
      "operatorPasswordFile"
    ]
  );
  ports = lib.groupBy (port: toString cfg.ports.${port}) (lib.attrNames cfg.ports);
  shared = lib.filterAttrs (_: of: lib.length of > 1) ports;

  # Other hosts of the flake that have a cluster of this name.
  others = lib.filterAttrs (_: other: other.enable or false && other.name == cfg.name) (
    lib.mapAttrs (_: host: host.config.services.slipway.cluster or { }) (
      lib.filterAttrs (_: host: host.config.networking.hostName != name) cfg.hosts
    )
  );
  backup = import ../stack/backup/lib.nix { inherit config lib; };
  archive = config.services.slipway.backup.archive or { enable = false; };
  archives = cluster.member && archive.enable;
  placeOf =
    one:
    if !one.enable then
      "off"
    else if one.s3 != null then
      "${one.s3.endpoint}/${one.s3.bucket}${one.s3.folder}"
    else
      toString one.repository;
  elsewhere =
    lib.filterAttrs (_: other: placeOf other.services.slipway.backup.archive != placeOf archive)
      (
        lib.mapAttrs (host: _: cfg.hosts.${host}.config) (
          lib.filterAttrs (_: other: other.role == "member") others
        )
      );
  flat = members: lib.mapAttrsToList (member: one: "${member} at ${one.address}") members;
  different = lib.filterAttrs (_: other: flat other.members != flat cfg.members) others;
  # Names, so that a path and its copy in the store are alike.
  majors = lib.mapAttrs (
    host: _: lib.versions.major cfg.hosts.${host}.config.services.postgresql.package.version
  ) (lib.filterAttrs (_: other: other.role == "member") others);
  major = lib.versions.major config.services.postgresql.package.version;
  older = lib.filterAttrs (_: other: other != major) majors;
in
{
  config = lib.mkIf cluster.enable {
    warnings =
      lib.optional (cfg.synchronous == "off")
        "${option}.synchronous is off: when the leader's host dies, commits of its last moments are lost, though programs were told that they are safe.";
    assertions = [
      {
        assertion = count >= 3 && lib.mod count 2 == 1;
        message = "${option}.members has ${toString count} (${toString names}); a majority of them decides who leads, so take 3, 5 or 7.";
      }
      {
        assertion = !cluster.member || cfg.members ? ${name};
        message = "${option}.members has ${toString names}, and this host is ${name}: add it there, set networking.hostName to one of them, or set ${option}.role = \"client\".";
      }
      {
        assertion = cluster.member || !cfg.members ? ${name};
        message = "${option}.role is client, and ${option}.members has this host, ${name}: leave role out, or take it from members.";
      }
      {
        assertion = doubled == { };
        message = "${option}.members has one address for more than one: ${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (
              address: members: "${address} for ${lib.concatStringsSep " and " members}"
            ) doubled
          )
        }; give each member the address of its own host.";
      }
      {
        assertion = unfit == [ ];
        message = "${option}.members has ${
          lib.concatMapStringsSep " and " (member: "${member} at ${cfg.members.${member}.address}") unfit
        }: give IP addresses, since certificates and the firewall are by address.";
      }
      {
        assertion = missing == [ ];
        message = "${lib.concatMapStringsSep " and " (what: "${option}.${what}") missing} ${
          if lib.length missing == 1 then "is" else "are"
        } not set: docs/high-availability.md says how to make the files; keys and passwords are outside the Nix store.";
      }
      {
        assertion = shared == { };
        message = "${option}.ports has one port for more than one: ${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (port: of: "${port} for ${lib.concatStringsSep " and " of}") shared
          )
        }; give each its own.";
      }
      {
        assertion = different == { };
        message = "${option}.members is ${lib.concatStringsSep ", " (flat cfg.members)} on ${name}, and ${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (
              host: other: "${lib.concatStringsSep ", " (flat other.members)} on ${host}"
            ) different
          )
        }: import one list on all hosts, or give the other cluster another ${option}.name.";
      }
      {
        assertion = !cluster.member || older == { };
        message = "services.slipway.database.package is of Postgres ${major} on ${name}, and ${
          lib.concatStringsSep ", " (lib.mapAttrsToList (host: other: "of ${other} on ${host}") older)
        }: a member can only copy from one of its own major version; docs/high-availability.md has the steps of an upgrade.";
      }
      {
        assertion = !cluster.member || !config.services.postgresql.enable;
        message = "services.postgresql.enable is set, and this host is a member of the cluster ${cfg.name}, whose server is run by Patroni: leave it out.";
      }
      {
        assertion = !archives || backup.common;
        message = "services.slipway.backup.archive.enable is set, and its repository is a folder of one host, which a cluster's next leader does not have: name a bucket (archive.s3), or a folder that all members mount (archive.shared).";
      }
      {
        assertion = !archives || elsewhere == { };
        message = "services.slipway.backup.archive is ${placeOf archive} on ${name}, and ${
          lib.concatStringsSep ", " (
            lib.mapAttrsToList (
              host: other: "${placeOf other.services.slipway.backup.archive} on ${host}"
            ) elsewhere
          )
        }: a cluster has one archive, so give all members the same.";
      }
      {
        assertion = !cluster.member || database.server.upgradeFrom == null;
        message = "services.slipway.database.upgradeFrom is for the server of one host: docs/high-availability.md has the steps of an upgrade of a cluster.";
      }
    ];
  };
}
