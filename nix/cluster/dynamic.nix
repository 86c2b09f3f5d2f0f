# What all members of a cluster share, and Patroni keeps in etcd. Only builtins.
let
  # Parameters that must be alike on all members. Patroni takes them from etcd and ignores them in a member's own file.
  names = [
    "max_connections"
    "max_locks_per_transaction"
    "max_prepared_transactions"
    "max_replication_slots"
    "max_slot_wal_keep_size"
    "max_wal_senders"
    "max_worker_processes"
    "track_commit_timestamp"
    "wal_keep_size"
    "wal_level"
  ];
in
{
  inherit names;

  # Settings of postgresql.conf -> those in etcd, and those in the member's own file.
  split =
    settings:
    let
      shared = builtins.intersectAttrs (builtins.listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) names
      )) settings;
    in
    {
      inherit shared;
      own = removeAttrs settings names;
    };

  configuration =
    {
      times,
      lag,
      wal,
      synchronous,
      settings,
    }:
    {
      ttl = times.ttl;
      loop_wait = times.loopWait;
      retry_timeout = times.retryTimeout;
      primary_start_timeout = times.primaryStart;
      primary_stop_timeout = times.primaryStop;
      maximum_lag_on_failover = lag.failoverBytes;
      # While etcd is away, the leader goes on as long as it reaches every other member.
      failsafe_mode = true;
      # "on": a commit is acknowledged when a standby has it, and only such a standby can lead. A lone leader goes on without.
      # "strict": a lone leader takes no writes.
      synchronous_mode = synchronous != "off";
      synchronous_mode_strict = synchronous == "strict";
      synchronous_node_count = 1;
      postgresql = {
        use_pg_rewind = true;
        use_slots = true;
        parameters = {
          wal_level = "replica";
          wal_keep_size = wal.keepSize;
          max_slot_wal_keep_size = wal.slotKeepSize;
          max_wal_senders = 10;
          max_replication_slots = 10;
        }
        // settings;
      };
    };
}
