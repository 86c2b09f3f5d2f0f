# The pods of api, worker and migration. Only builtins.
{ contract }:
let
  inherit (contract)
    database
    health
    limits
    paths
    ports
    reservations
    times
    user
    ;

  selector = name: {
    "app.kubernetes.io/name" = name;
    "app.kubernetes.io/part-of" = "slipway";
  };
  labels = selector;

  # Each secret is a file that only the process's group reads.
  secretFiles = names: keyOf: {
    volumes = [
      {
        name = "secrets";
        secret = {
          secretName = "slipway-secrets";
          # 0440
          defaultMode = 288;
          items = map (name: {
            key = keyOf.${name} or name;
            path = name;
          }) names;
        };
      }
    ];
    env = map (name: {
      name = "${name}_FILE";
      value = "/run/secrets/slipway/${name}";
    }) names;
    volumeMounts = [
      {
        name = "secrets";
        mountPath = "/run/secrets/slipway";
        readOnly = true;
      }
    ];
  };

  variables =
    set:
    map (name: {
      inherit name;
      value = set.${name};
    }) (builtins.attrNames set);

  pod =
    {
      name,
      secrets,
      container,
      # The key of a secret that is another than its variable.
      keyOf ? { },
      spec ? { },
    }:
    let
      files = secretFiles secrets keyOf;
    in
    {
      metadata.labels = labels name // {
        "slipway.dev/backend-client" = "true";
      };
      spec = {
        serviceAccountName = "slipway";
        automountServiceAccountToken = false;
        enableServiceLinks = false;
        terminationGracePeriodSeconds = times.killSeconds;
        securityContext = {
          runAsNonRoot = true;
          runAsUser = user.uid;
          runAsGroup = user.gid;
          fsGroup = user.gid;
          seccompProfile.type = "RuntimeDefault";
        };
        inherit (files) volumes;
        containers = [
          (
            container
            // {
              inherit name;
              inherit (files) volumeMounts;
              envFrom = [ { configMapRef.name = "slipway-settings"; } ];
              env = container.env or [ ] ++ files.env;
              securityContext = {
                allowPrivilegeEscalation = false;
                readOnlyRootFilesystem = true;
                capabilities.drop = [ "ALL" ];
              };
              resources = {
                limits = {
                  cpu = toString limits.cpus;
                  memory = "${toString limits.memoryMiB}Mi";
                };
                requests = {
                  cpu = toString reservations.cpus;
                  memory = "${toString reservations.memoryMiB}Mi";
                };
              };
            }
          )
        ];
      }
      // spec;
    };

  # Not two replicas on one node or in one zone, while there are others.
  spread = name: {
    topologySpreadConstraints =
      map
        (topologyKey: {
          inherit topologyKey;
          maxSkew = 1;
          whenUnsatisfiable = "ScheduleAnyway";
          labelSelector.matchLabels = selector name;
        })
        [
          "kubernetes.io/hostname"
          "topology.kubernetes.io/zone"
        ];
  };

  probe =
    action:
    action
    // {
      periodSeconds = health.intervalSeconds;
      inherit (health) timeoutSeconds;
      failureThreshold = health.retries;
    };
  # Until the process answers for the first time the other probes wait.
  startup =
    action:
    action
    // {
      periodSeconds = 2;
      inherit (health) timeoutSeconds;
      failureThreshold = health.startSeconds / 2;
    };
  get = path: {
    httpGet = {
      inherit path;
      port = "http";
    };
  };
  run = command: { exec = { inherit command; }; };
in
{
  inherit labels selector;

  settings = {
    APP_ENV = "production";
    # As the cluster names them.
    DATABASE_HOST = "slipway-postgres";
    DATABASE_PORT = toString ports.postgres;
    DATABASE_NAME = database.name;
    DATABASE_USER = database.user;
    DATABASE_POOL_SIZE = toString database.poolSize;
    DATABASE_MAX_OVERFLOW = toString database.maxOverflow;
    REDIS_HOST = "slipway-redis";
    REDIS_PORT = toString ports.redis;
    LOG_FORMAT = "json";
  };

  migrate = pod {
    name = "slipway-migrate";
    secrets = [ "DATABASE_PASSWORD" ];
    keyOf.DATABASE_PASSWORD = "DATABASE_OWNER_PASSWORD";
    spec.restartPolicy = "OnFailure";
    container = {
      image = "slipway-api";
      args = [ "migrate" ];
      # They win over those of the ConfigMap.
      env = variables {
        DATABASE_USER = database.owner;
        DATABASE_PROCESS_ROLE = database.user;
      };
    };
  };

  api = pod {
    name = "slipway-api";
    secrets = [
      "ADMIN_PASSWORD"
      "DATABASE_PASSWORD"
      "REDIS_PASSWORD"
      "SECRET_KEY"
    ];
    spec = spread "slipway-api";
    container = {
      image = "slipway-api";
      args = [ "serve" ];
      env = variables {
        API_HOST = "0.0.0.0";
        API_PORT = toString ports.api;
        API_REQUEST_TIMEOUT_SECONDS = toString times.requestSeconds;
        API_KEEPALIVE_SECONDS = toString times.keepaliveSeconds;
        API_SHUTDOWN_GRACE_SECONDS = toString times.shutdownGraceSeconds;
        # Wherever the ingress controller's pods are: of all pods the network policy lets only those in.
        API_TRUSTED_PROXIES = builtins.concatStringsSep "," [
          "10.0.0.0/8"
          "100.64.0.0/10"
          "172.16.0.0/12"
          "192.168.0.0/16"
          "fc00::/7"
        ];
        METRICS_PORT = toString ports.apiMetrics;
      };
      ports = [
        {
          name = "http";
          containerPort = ports.api;
        }
        {
          name = "metrics";
          containerPort = ports.apiMetrics;
        }
      ];
      startupProbe = startup (get paths.live);
      livenessProbe = probe (get paths.live);
      readinessProbe = probe (get paths.ready) // {
        periodSeconds = 5;
      };
      # SIGTERM comes when the endpoints have been told, so that nobody is sent to a listener that is closing.
      lifecycle.preStop.sleep.seconds = 5;
    };
  };

  worker = pod {
    name = "slipway-worker";
    secrets = [
      "DATABASE_PASSWORD"
      "REDIS_PASSWORD"
      "SECRET_KEY"
    ];
    spec = spread "slipway-worker";
    container = {
      image = "slipway-worker";
      args = [ "run" ];
      env = variables {
        METRICS_HOST = "0.0.0.0";
        METRICS_PORT = toString ports.workerMetrics;
      };
      ports = [
        {
          name = "metrics";
          containerPort = ports.workerMetrics;
        }
      ];
      startupProbe = startup (run [
        "/bin/slipway-worker"
        "healthcheck"
      ]);
      livenessProbe = probe (run [
        "/bin/slipway-worker"
        "healthcheck"
      ]);
    };
  };
}
