# Who may connect, and how. The lines for the stacks come first and cover all of their databases and logins: NixOS' own
# later lines would let anybody try a password. The host's other databases and their lines stay unchanged.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) local networked server;
  anyTls = lib.any (stack: stack.database.network.tls) (lib.attrValues networked);
  certificate = import ./certificate-files.nix;

  quote = name: ''"${name}"'';
  backedUp = lib.any (stack: stack.backup.enable or false) (lib.attrValues local);
  owner = stack: lib.optional (stack.database.owner.role != null) stack.database.owner.role;
  localLines =
    stack:
    map (
      role:
      "local ${quote stack.database.name} ${quote role} ${
        if stack.database.authentication == "peer" then "peer" else "scram-sha-256"
      }"
    ) ([ stack.user ] ++ owner stack);
  logins =
    stack:
    [ stack.user ]
    # Also while it is shut: adding or removing a line would restart the server in the middle of a
    # rotation.
    ++ lib.optional (stack.database.passwordFile != null) (database.secondLogin stack)
    ++ lib.optionals (stack.database.owner.passwordFile != null) (owner stack);
  networkLines =
    stack:
    let
      inherit (stack.database) network;
    in
    lib.concatMap (
      address:
      map (
        login:
        "${
          if network.tls then "hostssl" else "hostnossl"
        } ${quote stack.database.name} ${quote login} ${address} scram-sha-256"
      ) (logins stack)
    ) network.addresses;

  # Nobody else can reach a stack's database, and a stack's login can reach no other.
  closed =
    let
      refused = what: [
        "local ${what} reject"
        "host ${what} all reject"
      ];
      roles = lib.concatMap (
        stack:
        [
          stack.user
          (database.secondLogin stack)
        ]
        ++ owner stack
      ) (lib.attrValues local);
    in
    lib.concatMap (stack: refused "${quote stack.database.name} all") (lib.attrValues local)
    ++ lib.concatMap (role: refused "all ${quote role}") (
      lib.unique (roles ++ lib.optional backedUp "slipway-backup")
    );

  lines = [
    # The server's own account is its superuser.
    "local all postgres peer map=postgres"
  ]
  ++ lib.concatMap localLines (lib.attrValues local)
  ++ lib.optional backedUp ''local all "slipway-backup" peer''
  ++ lib.concatMap networkLines (lib.attrValues networked)
  ++ closed;
in
{
  config = lib.mkIf (local != { }) {
    services.postgresql = {
      # Before the host's own lines, which come before NixOS' own.
      authentication = lib.mkOrder 600 (lib.concatLines lines);
      settings = {
        # Stronger than NixOS' own value, weaker than mkForce. enableTCPIP makes the host listen on all addresses.
        listen_addresses = lib.mkOverride 90 (
          if config.services.postgresql.enableTCPIP then
            "*"
          else
            lib.concatStringsSep "," (lib.optionals (networked != { }) server.network.listen)
        );
      }
      // lib.optionalAttrs anyTls {
        ssl = true;
        ssl_cert_file = certificate.certificate;
        ssl_key_file = certificate.key;
        ssl_min_protocol_version = "TLSv1.2";
      };
    };
  };
}
