# A cluster: who leads Postgres, whether commits have a second copy, etcd below it, what the Sentinels see of Redis, and until
# when members trust each other.
let
  days = ''(slipway_cluster_certificate_end_timestamp_seconds{job="node"} - time()) / 86400'';
  certificate = "The {{ $labels.of }} of the cluster {{ $labels.cluster }} on {{ $labels.host }} ends in {{ printf \"%.1f\" $value }} days.";
in
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
  RedisWithoutPrimary = {
    severity = "ticket";
    forSeconds = 60;
    summary = "No Sentinel of the cluster {{ $labels.cluster }} sees a primary of the Redis {{ $labels.master_name }}.";
    expr = _: ''
      count by (cluster, master_name) (redis_sentinel_master_status{job="sentinel"})
      unless count by (cluster, master_name) (redis_sentinel_master_status{job="sentinel",master_status="ok"})
    '';
  };
  RedisReplicaMissing = {
    severity = "ticket";
    forSeconds = 600;
    summary = "{{ $value }} replicas of the Redis {{ $labels.master_name }} in the cluster {{ $labels.cluster }} are away.";
    # Who is cut off sees all others as away.
    expr =
      _:
      "min by (cluster, master_name) (redis_sentinel_master_slaves{job=\"sentinel\"} - redis_sentinel_master_ok_slaves{job=\"sentinel\"}) > 0";
  };
  RedisSentinelsDisagree = {
    severity = "ticket";
    forSeconds = 120;
    summary = "The Sentinels of the cluster {{ $labels.cluster }} name {{ $value }} primaries of the Redis {{ $labels.master_name }}.";
    expr =
      _:
      "count by (cluster, master_name) (count by (cluster, master_name, master_address) (redis_sentinel_master_status{job=\"sentinel\"})) > 1";
  };
  ClusterCertificateEnds = {
    severity = "ticket";
    forSeconds = 60;
    thresholds.days = 30;
    summary = certificate;
    expr = t: "${days} < ${t.days}";
  };
  ClusterCertificateAlmostEnded = {
    severity = "page";
    forSeconds = 60;
    thresholds.days = 3;
    summary = certificate;
    expr = t: "${days} < ${t.days}";
  };
}
