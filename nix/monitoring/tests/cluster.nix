let
  patroni =
    name:
    ''${name}{host="ha-1",instance="ha-1/patroni",job="patroni",cluster="main",synchronous="on"}'';
  etcd = name: ''${name}{host="ha-1",instance="ha-1/etcd",job="etcd",cluster="main"}'';
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
}
