let
  patroni =
    name:
    ''${name}{host="ha-1",instance="ha-1/patroni",job="patroni",cluster="main",synchronous="on"}'';
  etcd = name: ''${name}{host="ha-1",instance="ha-1/etcd",job="etcd",cluster="main"}'';
  # What the Sentinel of one host says of a stack's Redis.
  sentinel =
    host: name: address: more:
    ''redis_sentinel_master_${name}{host="${host}",instance="${host}/slipway-sentinel",job="sentinel",cluster="main",master_name="shop",master_address="${address}:6380"${more}}'';
  status =
    host: address: word:
    sentinel host "status" address '',master_status="${word}"'';
  # What node_exporter reads of a member's certificates.
  ends =
    of:
    ''slipway_cluster_certificate_end_timestamp_seconds{host="ha-1",instance="ha-1/node",job="node",cluster="main",of="${of}"}'';
  ofCertificate = {
    host = "ha-1";
    instance = "ha-1/node";
    job = "node";
    cluster = "main";
    of = "certificate";
  };
  # Healthy series of all alerts are there at once.
  ofBlog = builtins.replaceStrings [ ''master_name="shop"'' ] [ ''master_name="blog"'' ];
  ofRedis = {
    cluster = "main";
    master_name = "shop";
  };
  ofCluster.cluster = "main";
  ofPatroni = {
    host = "ha-1";
    instance = "ha-1/patroni";
    job = "patroni";
    cluster = "main";
    synchronous = "on";
  };
  ofEtcd = removeAttrs ofPatroni [ "synchronous" ] // {
    instance = "ha-1/etcd";
    job = "etcd";
  };
in
{
  ClusterWithoutLeader = {
    fault.series.${patroni "patroni_primary"} = "1 0x20";
    fault.alerts = [
      {
        labels = ofCluster;
        summary = "The cluster main has no leader, so nothing can be written.";
      }
    ];
    healthy.series.${patroni "patroni_primary"} = "1x5 0 1x20";
  };
  ClusterMemberDown = {
    fault.series.${patroni "patroni_postgres_running"} = "1 0x20";
    fault.alerts = [
      {
        labels = ofPatroni;
        summary = "Postgres of the member ha-1 does not run, and the cluster main survives no further loss.";
      }
    ];
    healthy.series.${patroni "patroni_postgres_running"} = "1 0 0 1x20";
  };
  ClusterWithoutStandby = {
    fault.series = {
      ${patroni "patroni_sync_standby"} = "0x20";
      ${patroni "patroni_primary"} = "1x20";
      ${patroni "patroni_is_paused"} = "0x20";
    };
    fault.alerts = [
      {
        labels = ofCluster;
        summary = "No standby of the cluster main has each commit, so the loss of the leader would lose some.";
      }
    ];
    healthy.series = {
      ${patroni "patroni_sync_standby"} = "1 0 1x20";
      ${patroni "patroni_primary"} = "1x20";
      ${patroni "patroni_is_paused"} = "0x20";
    };
  };
  ClusterPaused = {
    fault.series.${patroni "patroni_is_paused"} = "1x70";
    fault.minutes = 65;
    fault.alerts = [
      {
        labels = ofCluster;
        summary = "Somebody paused Patroni of the cluster main, and nobody takes over from a dead leader.";
      }
    ];
    healthy.series.${patroni "patroni_is_paused"} = "1x5 0x20";
  };
  EtcdWithoutLeader = {
    fault.series.${etcd "etcd_server_has_leader"} = "1 0x20";
    fault.alerts = [
      {
        labels = ofEtcd;
        summary = "etcd of ha-1 knows no leader, so Postgres of the cluster main cannot change its own.";
      }
    ];
    healthy.series.${etcd "etcd_server_has_leader"} = "1 0 1x20";
  };
  EtcdStoreFull = {
    fault.series = {
      ${etcd "etcd_mvcc_db_total_size_in_bytes"} = "1900000000x20";
      ${etcd "etcd_server_quota_backend_bytes"} = "2000000000x20";
    };
    fault.minutes = 15;
    fault.alerts = [
      {
        labels = ofEtcd;
        summary = "etcd of ha-1 has used 95 % of its store, and a full one takes no change.";
      }
    ];
    healthy.series = {
      ${etcd "etcd_mvcc_db_total_size_in_bytes"} = "100000000x20";
      ${etcd "etcd_server_quota_backend_bytes"} = "2000000000x20";
    };
  };
  RedisWithoutPrimary = {
    fault.series = {
      ${status "ha-1" "10.1.0.21" "odown"} = "1x20";
      ${status "ha-2" "10.1.0.21" "sdown"} = "1x20";
    };
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "No Sentinel of the cluster main sees a primary of the Redis shop.";
      }
    ];
    # One host is cut off from it.
    healthy.series = {
      ${status "ha-1" "10.1.0.21" "ok"} = "1x20";
      ${status "ha-2" "10.1.0.21" "sdown"} = "1x20";
    };
  };
  RedisReplicaMissing = {
    fault.series = {
      ${sentinel "ha-1" "slaves" "10.1.0.21" ""} = "2x40";
      ${sentinel "ha-1" "ok_slaves" "10.1.0.21" ""} = "2x3 1x40";
      ${sentinel "ha-2" "slaves" "10.1.0.21" ""} = "2x40";
      ${sentinel "ha-2" "ok_slaves" "10.1.0.21" ""} = "2x3 1x40";
    };
    fault.minutes = 20;
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "1 replicas of the Redis shop in the cluster main are away.";
      }
    ];
    # A restart, and a Sentinel that is cut off.
    healthy.series = {
      ${sentinel "ha-1" "slaves" "10.1.0.21" ""} = "2x40";
      ${sentinel "ha-1" "ok_slaves" "10.1.0.21" ""} = "2x3 1x2 2x40";
      ${sentinel "ha-2" "slaves" "10.1.0.21" ""} = "2x40";
      ${sentinel "ha-2" "ok_slaves" "10.1.0.21" ""} = "0x40";
    };
    healthy.minutes = 20;
  };
  RedisSentinelsDisagree = {
    fault.series = {
      ${status "ha-1" "10.1.0.21" "ok"} = "1x20";
      ${status "ha-2" "10.1.0.22" "ok"} = "1x20";
    };
    fault.alerts = [
      {
        labels = ofRedis;
        summary = "The Sentinels of the cluster main name 2 primaries of the Redis shop.";
      }
    ];
    # In the middle of a failover they do for a moment.
    healthy.series = {
      ${ofBlog (status "ha-1" "10.1.0.21" "ok")} = "1x3 stale";
      ${ofBlog (status "ha-1" "10.1.0.22" "ok")} = "_x4 1x20";
      ${ofBlog (status "ha-2" "10.1.0.22" "ok")} = "_x3 1x20";
    };
  };
  ClusterCertificateEnds = {
    # The clock of the tests begins at 0.
    fault.series.${ends "certificate"} = "1728000x20";
    fault.series.${ends "authority"} = "172800000x20";
    fault.alerts = [
      {
        labels = ofCertificate;
        summary = "The certificate of the cluster main on ha-1 ends in 20.0 days.";
      }
    ];
    healthy.series.${ends "certificate"} = "3456000x120";
  };
  ClusterCertificateAlmostEnded = {
    fault.series.${ends "certificate"} = "86400x20";
    fault.alerts = [
      {
        labels = ofCertificate;
        summary = "The certificate of the cluster main on ha-1 ends in 1.0 days.";
      }
    ];
    fault.also.ClusterCertificateEnds = 1;
    healthy.series.${ends "certificate"} = "3456000x120";
  };
}
