# The control plane under Docker Compose, as data. Only builtins.
{ contract }:
let
  inherit (contract)
    database
    limits
    ports
    redis
    replicas
    reservations
    times
    user
    ;
  seconds = number: "${toString number}s";
  mebibytes = number: "${toString number}m";

  # Compose stops with this sentence when the variable is not set.
  image =
    variable: example: "\${${variable}:?set it to an image by digest, such as ${example}@sha256:…}";

  secret = name: "/run/secrets/${name}";

  backendSubnet = "\${SLIPWAY_BACKEND_SUBNET:-172.29.240.0/24}";

  # What every container has: nothing it does not need, bounds, and a restart unless a person stopped it.
  common = {
    restart = "unless-stopped";
    read_only = true;
    cap_drop = [ "ALL" ];
    security_opt = [ "no-new-privileges:true" ];
    # A dump would hold every secret of the process.
    ulimits.core = 0;
    stop_grace_period = seconds times.killSeconds;
    logging = {
      driver = "json-file";
      options = {
        max-size = "10m";
        max-file = "3";
      };
    };
  };

  resources = {
    limits = {
      cpus = toString limits.cpus;
      memory = mebibytes limits.memoryMiB;
      pids = 1024;
    };
    reservations = {
      cpus = toString reservations.cpus;
      memory = mebibytes reservations.memoryMiB;
    };
  };

  health = test: {
    inherit test;
    interval = seconds contract.health.intervalSeconds;
    timeout = seconds contract.health.timeoutSeconds;
    inherit (contract.health) retries;
    start_period = seconds contract.health.startSeconds;
    # How soon a service that starts is found healthy by those that wait for it.
    start_interval = "2s";
  };

  ours = common // {
    user = "${toString user.uid}:${toString user.gid}";
    networks = [ "backend" ];
  };

  databaseSettings = {
    APP_ENV = "production";
    DATABASE_HOST = "postgres";
    DATABASE_PORT = toString ports.postgres;
    DATABASE_NAME = database.name;
    LOG_FORMAT = "json";
  };
  settings = databaseSettings // {
    DATABASE_USER = database.user;
    DATABASE_PASSWORD_FILE = secret "database_password";
    DATABASE_POOL_SIZE = toString database.poolSize;
    DATABASE_MAX_OVERFLOW = toString database.maxOverflow;
    REDIS_HOST = "redis";
    REDIS_PORT = toString ports.redis;
    REDIS_PASSWORD_FILE = secret "redis_password";
    SECRET_KEY_FILE = secret "secret_key";
  };

  ready = {
    migrate.condition = "service_completed_successfully";
    postgres.condition = "service_healthy";
    redis.condition = "service_started";
  };

  # Servers of others run as their own user; the secrets belong to our group.
  reader = [ (toString user.gid) ];
in
{
  name = "slipway";

  networks = {
    frontend = { };
    backend = {
      # Nothing in it reaches the outside, or is reached from there.
      internal = true;
      # Named, so that the api knows the proxy by it.
      ipam.config = [ { subnet = backendSubnet; } ];
    };
  };

  volumes.postgres = { };

  secrets = builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value.file = "./secrets/${name}";
      })
      [
        "admin_password"
        "database_owner_password"
        "database_password"
        "redis_password"
        "secret_key"
        "tls_certificate"
        "tls_key"
      ]
  );

  services = {
    nginx = common // {
      image = image "NGINX_IMAGE" "nginxinc/nginx-unprivileged:1.29";
      user = "101:101";
      group_add = reader;
      networks = [
        "frontend"
        "backend"
      ];
      ports = [
        "${toString ports.http}:${toString ports.proxyHttp}"
        "${toString ports.https}:${toString ports.proxyHttps}"
      ];
      volumes = [ "./nginx.conf:/etc/nginx/nginx.conf:ro" ];
      tmpfs = [ "/tmp" ];
      secrets = [
        "tls_certificate"
        "tls_key"
      ];
      depends_on.api.condition = "service_healthy";
      healthcheck = health [
        "CMD"
        "curl"
        "--fail"
        "--silent"
        "--max-time"
        "5"
        "http://127.0.0.1:${toString ports.proxyPing}/"
      ];
      deploy = { inherit resources; };
    };

    api = ours // {
      image = image "SLIPWAY_API_IMAGE" "registry.example.org/slipway-api";
      environment = settings // {
        ADMIN_PASSWORD_FILE = secret "admin_password";
        API_HOST = "0.0.0.0";
        API_PORT = toString ports.api;
        API_REQUEST_TIMEOUT_SECONDS = toString times.requestSeconds;
        API_KEEPALIVE_SECONDS = toString times.keepaliveSeconds;
        API_SHUTDOWN_GRACE_SECONDS = toString times.shutdownGraceSeconds;
        # Only the proxy is asked from outside; what it says of its clients is believed.
        API_TRUSTED_PROXIES = backendSubnet;
        METRICS_PORT = toString ports.apiMetrics;
      };
      secrets = [
        "admin_password"
        "database_password"
        "redis_password"
        "secret_key"
      ];
      depends_on = ready;
      healthcheck = health [
        "CMD"
        "/bin/slipway-api"
        "healthcheck"
      ];
      deploy = {
        inherit resources;
        replicas = replicas.api;
      };
    };

    worker = ours // {
      image = image "SLIPWAY_WORKER_IMAGE" "registry.example.org/slipway-worker";
      environment = settings // {
        METRICS_HOST = "0.0.0.0";
        METRICS_PORT = toString ports.workerMetrics;
      };
      secrets = [
        "database_password"
        "redis_password"
        "secret_key"
      ];
      depends_on = ready;
      healthcheck = health [
        "CMD"
        "/bin/slipway-worker"
        "healthcheck"
      ];
      deploy = {
        inherit resources;
        replicas = replicas.worker;
      };
    };

    # Runs once; api and worker wait until it has ended well.
    migrate = ours // {
      image = image "SLIPWAY_API_IMAGE" "registry.example.org/slipway-api";
      command = [ "migrate" ];
      restart = "on-failure:5";
      environment = databaseSettings // {
        DATABASE_USER = database.owner;
        DATABASE_PASSWORD_FILE = secret "database_owner_password";
        DATABASE_PROCESS_ROLE = database.user;
      };
      secrets = [ "database_owner_password" ];
      depends_on.postgres.condition = "service_healthy";
      healthcheck.disable = true;
      deploy = { inherit resources; };
    };

    postgres = common // {
      image = image "POSTGRES_IMAGE" "postgres:17";
      user = "999:999";
      group_add = reader;
      networks = [ "backend" ];
      command = [
        "postgres"
        "-c"
        "max_connections=${toString database.maxConnections}"
      ];
      environment = {
        POSTGRES_DB = database.name;
        # The image's superuser; nobody but migrations comes as it.
        POSTGRES_USER = database.owner;
        POSTGRES_PASSWORD_FILE = secret "database_owner_password";
        POSTGRES_INITDB_ARGS = "--data-checksums --auth-host=scram-sha-256";
      };
      secrets = [
        "database_owner_password"
        "database_password"
      ];
      volumes = [
        "postgres:/var/lib/postgresql/data"
        # Run by itself when the volume is empty.
        "./roles.sh:/docker-entrypoint-initdb.d/roles.sh:ro"
      ];
      tmpfs = [
        "/tmp"
        # By mode, not by owner: that is what both Docker and podman know. There is one user inside.
        "/run/postgresql:mode=1777"
      ];
      shm_size = "256m";
      # A fast shutdown: waiting clients are told, nothing is lost.
      stop_signal = "SIGINT";
      healthcheck = health [
        "CMD"
        "pg_isready"
        "--username=${database.owner}"
        "--dbname=${database.name}"
      ];
      deploy = { inherit resources; };
    };

    # Keeps nothing: wake-ups and a cache, which may be lost at any time.
    redis = common // {
      image = image "REDIS_IMAGE" "redis:8";
      user = "999:999";
      group_add = reader;
      networks = [ "backend" ];
      # The password goes through a file, for a command line is seen by all.
      command = [
        "sh"
        "-c"
        (
          "umask 077 && printf 'requirepass %s\\n' \"$$(cat /run/secrets/redis_password)\" >/tmp/redis.conf && "
          + "exec redis-server /tmp/redis.conf --port ${toString ports.redis} --save '' --appendonly no "
          + "--maxmemory ${toString redis.maxMemoryMiB}mb --maxmemory-policy ${redis.policy}"
        )
      ];
      secrets = [ "redis_password" ];
      tmpfs = [
        "/tmp:mode=1777"
        "/data:mode=1777"
      ];
      healthcheck = health [
        "CMD-SHELL"
        "REDISCLI_AUTH=\"$$(cat /run/secrets/redis_password)\" redis-cli -p ${toString ports.redis} ping | grep -q PONG"
      ];
      deploy = { inherit resources; };
    };
  };
}
