# Cases of the cluster's configurations, and the committed copies: see nix/lib/tests.
let
  inherit (builtins)
    attrNames
    elem
    filter
    map
    match
    readFile
    ;
  cluster = import ./.;
  given = {
    name = "main";
    member = "b";
    members = {
      a.address = "10.0.0.1";
      b.address = "10.0.0.2";
      c.address = "fd00::3";
    };
    files = {
      authority = "/a.pem";
      certificate = "/c.pem";
      key = "/k.pem";
      data = "/data";
      etcdData = "/etcd";
      pgpass = "/pgpass";
      socket = "/run/postgresql";
      programs = "/bin";
      tags = "/tags.yaml";
      operatorPassword = "/password";
    };
  };
  etcd = more: cluster.etcd (given // more);
  patroni = more: cluster.patroni (given // more);
  times = cluster.defaults.times;
  contains = part: text: match ".*${part}.*" (builtins.replaceStrings [ "\n" ] [ " " ] text) != null;
in
[
  {
    name = "cluster: addresses of both kinds";
    got = (etcd { }).ETCD_INITIAL_CLUSTER;
    want = "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://[fd00::3]:2380";
  }
  {
    name = "cluster: who may change the cluster";
    got = (patroni { }).restapi.allowlist;
    want = [
      "10.0.0.1/32"
      "10.0.0.2/32"
      "fd00::3/128"
    ];
  }
  {
    name = "cluster: no plain text between members";
    got = filter (url: match "http:.*" url != null) (
      map (name: (etcd { }).${name}) [
        "ETCD_LISTEN_PEER_URLS"
        "ETCD_LISTEN_CLIENT_URLS"
        "ETCD_ADVERTISE_CLIENT_URLS"
        "ETCD_INITIAL_ADVERTISE_PEER_URLS"
      ]
    );
    want = [ ];
  }
  {
    name = "cluster: the server refuses the superuser and the roles of the cluster from elsewhere";
    got = filter (
      line:
      match "host(ssl)? [a-z]+ \"(postgres|slipway-replication|slipway-rewind)\" all .*" line != null
    ) (patroni { }).postgresql.pg_hba;
    want = [
      "host all \"slipway-replication\" all reject"
      "host all \"slipway-rewind\" all reject"
      "host all \"postgres\" all reject"
    ];
  }
  {
    name = "cluster: another certificate's holder needs the password, and another password's holder the certificate";
    got = filter (
      line: match "hostssl.*" line != null && match ".*scram-sha-256 clientcert=verify-ca" line == null
    ) (patroni { }).postgresql.pg_hba;
    want = [ ];
  }
  {
    name = "cluster: a dead leader's key is gone before Patroni gives up etcd";
    got = times.loopWait + 2 * times.retryTimeout <= times.ttl && times.ttl >= 20;
    want = true;
  }
  {
    name = "cluster: a dead leader is replaced within 30 seconds, with an election of etcd";
    got = times.ttl + 2 + times.loopWait <= 30;
    want = true;
  }
  {
    name = "cluster: commits wait for a standby unless somebody turns it off";
    got =
      map
        (synchronous: {
          inherit ((patroni { inherit synchronous; }).bootstrap.dcs) synchronous_mode synchronous_mode_strict;
        })
        [
          "on"
          "strict"
          "off"
        ];
    want = [
      {
        synchronous_mode = true;
        synchronous_mode_strict = false;
      }
      {
        synchronous_mode = true;
        synchronous_mode_strict = true;
      }
      {
        synchronous_mode = false;
        synchronous_mode_strict = false;
      }
    ];
  }
  {
    name = "cluster: settings that must be alike on all members are in etcd";
    got =
      let
        made = patroni {
          settings = {
            max_connections = 300;
            work_mem = "8MB";
          };
        };
      in
      {
        shared = made.bootstrap.dcs.postgresql.parameters.max_connections;
        own = made.postgresql.parameters.work_mem;
        both = elem "max_connections" (attrNames made.postgresql.parameters);
      };
    want = {
      shared = 300;
      own = "8MB";
      both = false;
    };
  }
  {
    name = "cluster: the archive";
    got =
      let
        made = patroni {
          archive = {
            push = "push %p";
            get = "get %f %p";
          };
        };
      in
      [
        made.postgresql.parameters.archive_command
        made.postgresql.recovery_conf.restore_command
      ];
    want = [
      "push %p"
      "get %f %p"
    ];
  }
  {
    name = "cluster: HAProxy verifies whom it asks";
    got = contains "check-ssl ca-file /a.pem verify required verifyhost main.cluster.internal" (
      cluster.haproxy given
    );
    want = true;
  }
  {
    name = "cluster: the disk guard asks its own Patroni, with a bound of its own";
    got =
      let
        made = cluster.diskGuard.environment (given // { disk.lowMiB = 2048; });
      in
      [
        made.URL
        made.LOW_MIB
        made.SYNCHRONOUS
        made.PASSWORD_FILE
      ];
    want = [
      "https://10.0.0.2:8008"
      "2048"
      "on"
      "/password"
    ];
  }
  {
    name = "cluster: the disk guard looks often, and hands over seldom";
    got = cluster.defaults.disk.hold >= 60 && cluster.defaults.disk.interval <= 5;
    want = true;
  }
  {
    name = "cluster: no secret is in a file";
    got = filter (path: contains "password: " cluster.files.${path}) (attrNames cluster.files);
    want = [ ];
  }
  {
    name = "cluster: the example has all its members";
    got = filter (path: match "[^/]*/etcd\\.env" path != null) (attrNames cluster.files);
    want = [
      "ha-1/etcd.env"
      "ha-2/etcd.env"
      "ha-3/etcd.env"
    ];
  }
]
++ map (path: {
  name = "deploy/cluster/${path}, which `nix run .#render` writes, is as nix/cluster has it";
  got = readFile (../../deploy/cluster + "/${path}") == cluster.files.${path};
  want = true;
}) (attrNames cluster.files)
