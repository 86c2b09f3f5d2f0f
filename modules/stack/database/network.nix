# Who may connect, and how. The lines for the stacks come first and cover all of their databases and logins: NixOS' own
# later lines would let anybody try a password. The host's other databases and their lines stay unchanged.
{ config, lib, ... }:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database)
    local
    networked
    server
    using
    ;
  cfg = config.services.postgresql;
  anyTls =
    !database.cluster.member && lib.any (stack: stack.database.network.tls) (lib.attrValues networked);
  certificate = import ./certificate-files.nix;

  quote = name: ''"${name}"'';
  backedUp = lib.any (stack: stack.backup.enable or false) (lib.attrValues local);
  owner = stack: lib.optional (stack.database.owner.role != null) stack.database.owner.role;

  # Peer knows the role of an account's own name. Accounts of single programs need a map.
  mapOf = name: role: "slipway-${name}-${role}";
  mapped =
    stack:
    lib.filterAttrs (role: accounts: lib.subtractLists [ role ] accounts != [ ]) (
      database.accounts stack
    );
  peer =
    name: stack: role:
    if mapped stack ? ${role} then "peer map=${mapOf name role}" else "peer";
  identities =
    name: stack:
    lib.concatLists (
      lib.mapAttrsToList (role: map (account: "${mapOf name role} ${quote account} ${quote role}")) (
        mapped stack
      )
    );

  localLines =
    name: stack:
    let
      db = stack.database;
    in
    map (
      role:
      "local ${quote db.name} ${quote role} ${
        if db.authentication == "peer" then peer name stack role else "scram-sha-256"
      }"
    ) ([ stack.user ] ++ owner stack)
    ++ map (reader: "local ${quote db.name} ${quote reader} peer") db.readers;
  logins =
    stack:
    [ stack.user ]
    # Also while it is shut, so that a rotation changes no line.
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
    ) (database.networksOf stack);

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
      users = map (stack: stack.user) (lib.attrValues using);
    in
    lib.concatMap (stack: refused "${quote stack.database.name} all") (lib.attrValues local)
    ++ lib.concatMap (role: refused "all ${quote role}") (
      lib.unique (
        roles
        ++ users
        ++ lib.optionals backedUp [
          "slipway-backup"
          "slipway-restore"
        ]
      )
    );

  maps =
    lib.concatLists (lib.mapAttrsToList identities (local // using))
    ++ lib.optionals backedUp (
      map (account: ''slipway-restore ${account} "slipway-restore"'') [
        "postgres"
        "root"
      ]
    );
  lines = [
    # The server's own account is its superuser.
    "local all postgres peer map=postgres"
  ]
  ++ lib.concatLists (lib.mapAttrsToList localLines local)
  ++ lib.concatLists (lib.mapAttrsToList localLines using)
  ++ lib.optionals backedUp [
    ''local all "slipway-backup" peer''
    # A restore makes this role and drops it at its end. Only the server's own account and root are let in as it: the code of a
    # dump could give the role a password that its service knows.
    ''local all "slipway-restore" peer map=slipway-restore''
  ]
  ++ lib.concatMap networkLines (lib.attrValues networked)
  ++ closed;
in
{
  config = lib.mkIf (local != { }) {
    assertions = [
      {
        assertion = lib.hasInfix (lib.concatLines lines) cfg.authentication;
        message = "services.postgresql.authentication is set with mkForce, so the lines that close the databases of services.slipway.stacks are not in it: set it without mkForce; your lines then come after those.";
      }
    ];
    services.postgresql = {
      # Before the host's own lines, which come before NixOS' own.
      authentication = lib.mkOrder 600 (lib.concatLines lines);
      identMap = lib.mkIf (maps != [ ]) (lib.concatLines maps);
      settings = {
        # Stronger than NixOS' own value, weaker than mkForce. enableTCPIP makes the host listen on all addresses, and
        # programs of the host's own databases may come over the loopback interface.
        listen_addresses = lib.mkOverride 90 (
          if cfg.enableTCPIP then
            "*"
          else
            lib.concatStringsSep "," (
              lib.optional (cfg.ensureUsers != [ ] || cfg.ensureDatabases != [ ]) "localhost"
              ++ lib.optionals (networked != { }) server.network.listen
            )
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
