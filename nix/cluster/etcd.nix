# etcd of one member, as the variables of its environment. The cluster's authority signs the certificates of members, and no
# others: who has one may write here. A list of allowed names for clients would be a second lock, but etcd's own gateway,
# through which Patroni comes, then refuses itself.
{
  name,
  member,
  members,
  ports,
  # The name that the certificates of all members have, and no other certificate.
  serverName,
  # { authority, certificate, key, etcdData }
  files,
}:
let
  lib = import ./lib.nix;
  inherit (members.${member}) address;
in
{
  ETCD_NAME = member;
  ETCD_DATA_DIR = files.etcdData;

  ETCD_LISTEN_PEER_URLS = lib.https address ports.etcdPeer;
  ETCD_INITIAL_ADVERTISE_PEER_URLS = lib.https address ports.etcdPeer;
  ETCD_LISTEN_CLIENT_URLS = lib.https address ports.etcdClient;
  ETCD_ADVERTISE_CLIENT_URLS = lib.https address ports.etcdClient;
  ETCD_LISTEN_METRICS_URLS = "http://${lib.hostPort "127.0.0.1" ports.etcdMetrics}";

  # Read once, when the data folder is empty. The token keeps members of another cluster out.
  ETCD_INITIAL_CLUSTER = builtins.concatStringsSep "," (
    map (other: "${other}=${lib.https members.${other}.address ports.etcdPeer}") (lib.names members)
  );
  ETCD_INITIAL_CLUSTER_STATE = "new";
  ETCD_INITIAL_CLUSTER_TOKEN = "slipway-${name}";
  # A change of members that would lose the majority is refused.
  ETCD_STRICT_RECONFIG_CHECK = "true";

  ETCD_TRUSTED_CA_FILE = files.authority;
  ETCD_CERT_FILE = files.certificate;
  ETCD_KEY_FILE = files.key;
  ETCD_CLIENT_CERT_AUTH = "true";
  ETCD_PEER_TRUSTED_CA_FILE = files.authority;
  ETCD_PEER_CERT_FILE = files.certificate;
  ETCD_PEER_KEY_FILE = files.key;
  ETCD_PEER_CLIENT_CERT_AUTH = "true";
  ETCD_PEER_CERT_ALLOWED_HOSTNAME = serverName;

  # Milliseconds. A dead leader of etcd delays a new leader of Postgres by the election, since the key then counts anew.
  ETCD_HEARTBEAT_INTERVAL = "100";
  ETCD_ELECTION_TIMEOUT = "1000";
  # A member that was cut off does not unseat the leader when it comes back.
  ETCD_PRE_VOTE = "true";
  # Patroni writes its state every few seconds; old revisions would fill the store.
  ETCD_AUTO_COMPACTION_MODE = "periodic";
  ETCD_AUTO_COMPACTION_RETENTION = "1h";
  ETCD_LOGGER = "zap";
  ETCD_LOG_LEVEL = "warn";
}
