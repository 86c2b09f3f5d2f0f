# Who may connect, and over what. The file that results is all there is: NixOS' own lines would let anybody try a password.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) local networked;
  anyTls = lib.any (stack: stack.database.network.tls) (lib.attrValues networked);
  # One certificate a server.
  tls = lib.head (
    lib.filter (network: network.tls) (map (stack: stack.database.network) (lib.attrValues networked))
  );
  listen = lib.unique (
    lib.concatMap (stack: stack.database.network.listen) (lib.attrValues networked)
  );
  credentials = "/run/credentials/postgresql.service";

  quote = name: ''"${name}"'';
  localLine =
    stack:
    "local ${quote stack.database.name} ${quote stack.user} ${
      if stack.database.authentication == "peer" then "peer" else "scram-sha-256"
    }";
  networkLines =
    stack:
    let
      inherit (stack.database) network;
    in
    map (
      address:
      "${
        if network.tls then "hostssl" else "hostnossl"
      } ${quote stack.database.name} ${quote stack.user} ${address} scram-sha-256"
    ) network.addresses;
  lines = [
    # The server's own account is its superuser.
    "local all postgres peer map=postgres"
  ]
  ++ map localLine (lib.attrValues local)
  ++ lib.optional (lib.any (stack: stack.backup.enable or false) (
    lib.attrValues local
  )) ''local all "slipway-backup" peer''
  ++ lib.concatMap networkLines (lib.attrValues networked);
in
{
  config = lib.mkIf (local != { }) {
    services.postgresql = {
      authentication = lib.mkForce (lib.concatLines lines);
      settings = {
        listen_addresses = lib.mkForce (lib.concatStringsSep "," listen);
      }
      // lib.optionalAttrs anyTls {
        ssl = true;
        ssl_cert_file = "${credentials}/certificate";
        ssl_key_file = "${credentials}/key";
        ssl_min_protocol_version = "TLSv1.2";
      };
    };
    systemd.services.postgresql = lib.mkIf anyTls {
      serviceConfig.LoadCredential = [
        "certificate:${toString tls.certificateFile}"
        "key:${toString tls.keyFile}"
      ];
    };
  };
}
