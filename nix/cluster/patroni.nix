# Patroni of one member. `dynamic` is what all members share: it lives in etcd, the file has it for the first start only.
# Passwords are in the environment: PATRONI_REPLICATION_PASSWORD, PATRONI_REWIND_PASSWORD and PATRONI_RESTAPI_PASSWORD.
{
  name,
  member,
  members,
  ports,
  serverName,
  # { authority, certificate, key, data, pgpass, socket, programs }; `key` belongs to the account that runs Patroni.
  files,
  # "off", "on" or "strict": see below.
  synchronous,
  # "off", "automatic" or "required".
  watchdog,
  # Addresses from which members come, besides their own.
  sources,
  # The account that runs Patroni and Postgres.
  account,
  # postgresql.conf, pg_hba.conf (after the lines of the cluster itself) and pg_ident.conf.
  settings,
  hba,
  identities,
  # { push, get } of the WAL archive: commands of archive_command and restore_command.
  archive,
  initdb,
  times,
  lag,
  wal,
  roles,
  operator,
}:
let
  lib = import ./lib.nix;
  inherit (members.${member}) address;
  shared = import ./dynamic.nix;
  split = shared.split settings;

  from = map lib.single (lib.addresses members ++ sources);

  # Files as libpq takes them.
  login = username: {
    inherit username;
    sslmode = "verify-full";
    sslrootcert = files.authority;
    sslcert = files.certificate;
    sslkey = files.key;
  };

  # Neither the certificate nor the password is enough alone.
  fromMembers =
    database: role:
    map (source: "hostssl ${database} \"${role}\" ${source} scram-sha-256 clientcert=verify-ca") from;
in
{
  scope = name;
  namespace = "/slipway/";
  name = member;

  log = {
    level = "INFO";
    # The journal and most other logs add the time.
    format = "%(levelname)s: %(message)s";
  };

  restapi = {
    listen = lib.hostPort address ports.patroni;
    connect_address = lib.hostPort address ports.patroni;
    cafile = files.authority;
    certfile = files.certificate;
    keyfile = files.key;
    # Whoever reaches the port may ask who leads. To change something takes a member's certificate, address and password.
    verify_client = "optional";
    authentication.username = operator;
    allowlist = from;
  };
  # patronictl, and Patroni when it asks the others.
  ctl = {
    cacert = files.authority;
    certfile = files.certificate;
    keyfile = files.key;
    insecure = false;
  };

  etcd3 = {
    hosts = map (other: lib.hostPort other ports.etcdClient) (lib.addresses members);
    protocol = "https";
    cacert = files.authority;
    cert = files.certificate;
    inherit (files) key;
  };

  # Restarts a host whose Patroni stopped while it led, before another one leads.
  watchdog = {
    mode = watchdog;
    device = "/dev/watchdog";
    safety_margin = 5;
  };

  bootstrap = {
    dcs = shared.configuration {
      inherit
        lag
        synchronous
        times
        wal
        ;
      settings = split.shared;
    };
    inherit initdb;
  };

  postgresql = {
    listen = lib.hostPort address ports.postgres;
    connect_address = lib.hostPort address ports.postgres;
    data_dir = files.data;
    bin_dir = files.programs;
    inherit (files) pgpass;
    # The superuser is known by its account, and has no password that could be lost.
    use_unix_socket = true;
    use_unix_socket_repl = true;
    authentication = {
      superuser.username = roles.superuser;
      replication = login roles.replication;
      rewind = login roles.rewind;
    };
    # A member that cannot be rewound is made anew from the leader. What it loses was never acknowledged in synchronous mode.
    remove_data_directory_on_rewind_failure = true;
    basebackup = [ { checkpoint = "fast"; } ];
    parameters = {
      unix_socket_directories = files.socket;
      password_encryption = "scram-sha-256";
      ssl = true;
      ssl_ca_file = files.authority;
      ssl_cert_file = files.certificate;
      ssl_key_file = files.key;
      ssl_min_protocol_version = "TLSv1.2";
      wal_sender_timeout = "${toString times.walSender}s";
      wal_receiver_timeout = "${toString times.walSender}s";
    }
    // (
      if archive == null then
        { }
      else
        {
          archive_mode = true;
          archive_command = archive.push;
        }
    )
    // split.own;
    pg_hba = [
      "local all \"${roles.superuser}\" peer map=slipway-cluster"
      "local replication \"${roles.replication}\" peer map=slipway-cluster"
    ]
    ++ fromMembers "replication" roles.replication
    ++ fromMembers "postgres" roles.rewind
    ++ [
      "local all \"${roles.replication}\" reject"
      "host all \"${roles.replication}\" all reject"
      # It reads any file of the server. Lines for all programs may follow, and those ask for no certificate.
      "local all \"${roles.rewind}\" reject"
      "host all \"${roles.rewind}\" all reject"
      "host all \"${roles.superuser}\" all reject"
    ]
    ++ hba;
    pg_ident = [
      "slipway-cluster \"${account}\" \"${roles.superuser}\""
      "slipway-cluster \"${account}\" \"${roles.replication}\""
    ]
    ++ identities;
  }
  // (if archive == null then { } else { recovery_conf.restore_command = archive.get; });
}
