# Numbers that everything with an api and a worker shares: the NixOS modules, the images, the compose file and the
# Kubernetes manifests. Ports and paths are those of crates/lib/settings and crates/lib/wire; `./dev test` compares
# them. Only data.
{
  ports = {
    # Public, at the proxy.
    http = 80;
    https = 443;
    # Of the proxy inside its container, where it is not root.
    proxyHttp = 8080;
    proxyHttps = 8443;
    proxyPing = 8081;
    # The api behind the proxy.
    api = 8000;
    # Metrics stay inside: one listener a process.
    apiMetrics = 9100;
    workerMetrics = 9101;
    agentMetrics = 9102;
    backupMetrics = 9103;
    # Of the first process of a stack under NixOS; each of the others has the next one.
    stackMetrics = 9200;
    postgres = 5432;
    redis = 6379;
    # Between hosts, with TLS only.
    redisTls = 6380;
    # Of a cluster's Sentinels, with TLS only.
    sentinel = 26379;
    # The door of a host's telemetry, for the monitoring host only.
    telemetry = 9443;
    # The door of the log store, for hosts that send to it; inside, the store itself and what leads this host's lines to it.
    logs = 9444;
    logStore = 9428;
    logLocal = 9427;
    opensearch = 9200;
    # Of the shipper.
    logMetrics = 9107;
    # nginx' own counters, on 127.0.0.1.
    proxyStatus = 8084;
    # Of a host with a floating address: what the others ask it, and on 127.0.0.1 what it asks them for an authority.
    floating = 8085;
    floatingRelay = 8086;
  };

  paths = {
    health = "/api/v1/monitoring/health";
    live = "/api/v1/monitoring/live";
    ready = "/api/v1/monitoring/ready";
    sync = "/api/v1/agent/sync";
    monitoring = "/api/v1/monitoring/";
    metrics = "/metrics";
  };

  # The check of a container's or a unit's health.
  health = {
    intervalSeconds = 30;
    timeoutSeconds = 10;
    retries = 3;
    startSeconds = 40;
  };

  times = {
    # Longest request, long polls included.
    requestSeconds = 120;
    # The api keeps idle connections this long; the proxy must give up first.
    keepaliveSeconds = 5;
    proxyKeepaliveSeconds = 4;
    # Longer than the longest request, so that clients get the api's own answer, which says more.
    proxyRequestSeconds = 125;
    # An agent's sync is parked for at most this long, so the proxy waits longer.
    longPollSeconds = 30;
    proxyReadSeconds = 45;
    # Of a stream without a byte.
    streamSeconds = 3600;
    connectSeconds = 2;
    # Between SIGTERM and the end: running requests may finish.
    shutdownGraceSeconds = 30;
    # After the grace a supervisor kills. More than the grace, or a drain would be cut.
    killSeconds = 40;
    migrateSeconds = 600;
    # For a switch's other work, besides a stack's rolling restart.
    switchSeconds = 120;
    # All hooks of one list together, and what ending one that hangs takes beyond its own time.
    hooksSeconds = 3600;
    hookEndSeconds = 10;
  };

  # Of a rollout's default strategy.
  rollout = {
    activateSeconds = 300;
    verifySeconds = 60;
    bakeSeconds = 30;
    deadmanSeconds = 1800;
  };

  # Per process.
  limits = {
    cpus = 2;
    memoryMiB = 2048;
  };

  # What a container is sure to get; up to its limits it gets what others do not need. Slipway's api takes 26 MiB at rest, its
  # worker 20.
  requests = {
    cpus = 0.1;
    memoryMiB = 128;
  };

  replicas = {
    api = 3;
    apiMost = 10;
    # Of any service: so many ports are kept for the metrics of a preset's.
    most = 64;
    worker = 2;
  };

  redis = {
    maxMemoryMiB = 256;
    # It may drop any data at any time, since nothing in it is needed.
    policy = "allkeys-lru";
  };

  # Connections: every replica's pool and overflow at once must fit, with room for people and backups.
  database = {
    name = "slipway";
    # Of api and worker; it cannot change the audit log.
    user = "slipway";
    # Of migrations; it owns the tables.
    owner = "slipway-owner";
    poolSize = 20;
    maxOverflow = 10;
    maxConnections = 450;
  };

  proxy = {
    # A host whose stack did not answer gets no request for so long, where others are left.
    hostOutSeconds = 5;
    # Larger than the api's own limit of 1 MiB: the api's refusal is a problem document, the proxy's is not.
    bodyMiB = 4;
    # Of Slipway's own api, which takes bills of materials in 12 MiB.
    ownBodyMiB = 16;
    # Per address: concurrent requests, requests a second, and how many more may come at once.
    connectionsPerAddress = 2048;
    requests = {
      perSecond = 50;
      burst = 200;
    };
    monitoring = {
      perSecond = 10;
      burst = 50;
    };
    longPoll = {
      perSecond = 100;
      burst = 1000;
    };
  };

  user = {
    uid = 1000;
    gid = 1000;
    name = "slipway";
  };

  stopSignal = "SIGTERM";
}
