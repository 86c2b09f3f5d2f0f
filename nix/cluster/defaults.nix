# What every cluster has unless somebody changes it. Only data.
{
  ports = {
    postgres = 5432;
    # Patroni's REST API, which says who leads.
    patroni = 8008;
    etcdClient = 2379;
    etcdPeer = 2380;
    # On 127.0.0.1 of each host: metrics of etcd and of Patroni, the leader, those who may read, and HAProxy's own metrics.
    etcdMetrics = 2381;
    patroniMetrics = 8009;
    leader = 15432;
    read = 15433;
    proxyMetrics = 8405;
  };

  # Seconds. A leader that is gone holds its key for `ttl`. If etcd's leader was on its host, the key counts anew after an
  # election of up to 2. A standby needs about 1 to promote itself. Patroni wants loopWait + 2 * retryTimeout <= ttl, and ttl
  # 20 at least.
  times = {
    ttl = 20;
    loopWait = 5;
    retryTimeout = 5;
    # A server that crashed gets this long to come back before another one leads; one that steps down is killed after it.
    primaryStart = 10;
    primaryStop = 10;
    # A connection of replication that says nothing is cut. Commits wait for a frozen standby at least this long.
    walSender = 10;
  };

  # How HAProxy asks who leads, in milliseconds.
  check = {
    interval = 500;
    # Of standbys. Each question is a handshake for the member.
    readInterval = 2000;
    timeout = 1000;
    # So many answers change its mind.
    rise = 1;
    fall = 2;
  };

  # A standby that is further behind answers no reads, and none that is further behind leads.
  lag = {
    readBytes = 16777216;
    failoverBytes = 1048576;
  };

  # What a standby that was away needs to catch up, if it is not in the archive.
  wal = {
    keepSize = "1GB";
    # A slot of a standby that never comes back must not fill the leader's disk.
    slotKeepSize = "10GB";
  };

  # When a leader hands over because its disk fills. MiB, and seconds.
  disk = {
    lowMiB = 512;
    interval = 2;
    # After Patroni refused, and after it handed over: whatever the disks do, the lead does not go to and fro.
    retry = 30;
    hold = 300;
  };

  # The roles of the cluster itself. The superuser has no password and comes over the socket only.
  roles = {
    superuser = "postgres";
    replication = "slipway-replication";
    rewind = "slipway-rewind";
  };
  # Who may change the cluster by Patroni's REST API, with a password.
  operator = "patroni";
}
