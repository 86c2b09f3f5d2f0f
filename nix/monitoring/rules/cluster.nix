# A cluster of Postgres servers: who leads, whether commits have a second copy, and etcd below it.
{
  ClusterWithoutLeader = {
    severity = "page";
    forSeconds = 60;
    summary = "The cluster {{ $labels.cluster }} has no leader, so nothing can be written.";
    expr = _: "max by (cluster) (patroni_primary{job=\"patroni\"}) == 0";
  };
  ClusterMemberDown = {
    severity = "ticket";
    forSeconds = 300;
    summary = "Postgres of the member {{ $labels.host }} does not run, and the cluster {{ $labels.cluster }} survives no further loss.";
    expr = _: "patroni_postgres_running{job=\"patroni\"} == 0";
  };
  ClusterWithoutStandby = {
    severity = "page";
    forSeconds = 300;
    summary = "No standby of the cluster {{ $labels.cluster }} has each commit, so the loss of the leader would lose some.";
    expr =
      _:
      "max by (cluster) (patroni_sync_standby{job=\"patroni\",synchronous!=\"off\"}) == 0 and on (cluster) max by (cluster) (patroni_primary{job=\"patroni\"}) == 1 and on (cluster) max by (cluster) (patroni_is_paused{job=\"patroni\"}) == 0";
  };
  ClusterPaused = {
    severity = "ticket";
    forSeconds = 3600;
    summary = "Somebody paused Patroni of the cluster {{ $labels.cluster }}, and nobody takes over from a dead leader.";
    expr = _: "max by (cluster) (patroni_is_paused{job=\"patroni\"}) == 1";
  };
  EtcdWithoutLeader = {
    severity = "page";
    forSeconds = 60;
    summary = "etcd of {{ $labels.host }} knows no leader, so Postgres of the cluster {{ $labels.cluster }} cannot change its own.";
    expr = _: "etcd_server_has_leader{job=\"etcd\"} == 0";
  };
  EtcdStoreFull = {
    severity = "ticket";
    forSeconds = 600;
    thresholds.usedPercent = 75;
    summary = "etcd of {{ $labels.host }} has used {{ $value | humanize }} % of its store, and a full one takes no change.";
    expr =
      { usedPercent }:
      "100 * etcd_mvcc_db_total_size_in_bytes{job=\"etcd\"} / etcd_server_quota_backend_bytes{job=\"etcd\"} > ${usedPercent}";
  };
}
