# Three members on one machine, or on three without NixOS. What is between two `@` is to be put in: deploy/cluster/README.md
# has the list. Only data.
{
  name = "main";
  members = {
    ha-1.address = "@ADDRESS_1@";
    ha-2.address = "@ADDRESS_2@";
    ha-3.address = "@ADDRESS_3@";
  };
  ports = {
    postgres = "@POSTGRES_PORT@";
    patroni = "@PATRONI_PORT@";
    etcdClient = "@ETCD_CLIENT_PORT@";
    etcdPeer = "@ETCD_PEER_PORT@";
    etcdMetrics = "@ETCD_METRICS_PORT@";
    leader = "@LEADER_PORT@";
    read = "@READ_PORT@";
    proxyMetrics = "@PROXY_METRICS_PORT@";
  };
  # On one machine all of them come from 127.0.0.1.
  sources = [ "@SOURCE@" ];
  account = "@ACCOUNT@";
  listen = "@LISTEN@";
  # A machine with three members has no watchdog to give.
  watchdog = "off";
  files =
    member:
    let
      folder = "@FOLDER@/${member}";
    in
    {
      authority = "${folder}/authority.pem";
      certificate = "${folder}/certificate.pem";
      key = "${folder}/key.pem";
      data = "${folder}/data";
      etcdData = "${folder}/etcd";
      pgpass = "${folder}/pgpass";
      socket = "${folder}/run";
      programs = "@PROGRAMS@";
      tags = "${folder}/conf/60-disk.yaml";
      operatorPassword = "@FOLDER@/operator.password";
    };
  settings = {
    max_connections = 200;
    shared_buffers = "64MB";
  };
  # Roles of programs, with their passwords, over TLS.
  hba = [ "hostssl all all all scram-sha-256" ];
}
