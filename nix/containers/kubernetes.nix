# A stack on Kubernetes: texts by file name. docs/containers.md says what becomes what. Postgres and Redis are the
# cluster's own; the policies know them by their labels.
{
  lib,
  name,
  stack,
  # References by program, such as { web = "registry.example.org/shop@sha256:…"; }. One that is not here and not in the
  # stack is <stack>-<program>, for `images` of a kustomization.
  images ? { },
  namespace ? name,
  # Where requests come from: a Gateway of the stack's own, { class = "…"; }, or one that is there,
  # { parent = { name = "…"; namespace = "…"; sectionName = "https"; }; }. `namespace` is that of its pods, where that is not
  # the Gateway's.
  gateway ? null,
  # In its place: { class = "…"; namespace = "…"; annotations = { }; }, with the namespace of the controller's pods.
  ingress ? null,
  # Networks of what is before the stack: private ones, since of all pods the policies let only those in.
  trustedProxies ? [
    "10.0.0.0/8"
    "100.64.0.0/10"
    "172.16.0.0/12"
    "192.168.0.0/16"
    "fc00::/7"
  ],
  # More replicas under load, such as { web = { most = 10; cpus = 0.7; }; }: as many as hold the mean of all below that.
  scale ? { },
  # What pods are sure to get, such as { web = { cpus = 1; memoryMiB = 1024; }; }; also of `proxy`.
  requests ? { },
  # Of services and jobs that keep files, such as { web = { size = "10Gi"; class = "fast"; }; }.
  storage ? { },
  # Services whose image says the stop signal, as Kubernetes has none.
  signalInImage ? [ ],
  # The time zone of jobs' calendars.
  timeZone ? "Etc/UTC",
  # Addresses of NodeLocal DNSCache, besides name servers in kube-system.
  nameServers ? [ "169.254.20.10" ],
  # The namespace that reads metrics.
  monitoring ? "monitoring",
  # The first lines of every file.
  header ? "# Rendered by Slipway from the stack ${name}: change that, and render it again.\n",
}:
let
  contract = import ../contract.nix;
  yaml = import ../lib/yaml.nix;
  cron = import ./cron.nix { inherit lib; };
  inherit (contract) ports;

  selector = program: {
    "app.kubernetes.io/name" = "${name}-${program}";
    "app.kubernetes.io/part-of" = name;
  };
  component = what: {
    "app.kubernetes.io/part-of" = name;
    "app.kubernetes.io/component" = what;
  };
  objectsOf = import ./objects.nix {
    inherit
      lib
      name
      namespace
      selector
      storage
      ;
  };
  inherit (objectsOf)
    autoscaler
    claim
    deployment
    disruption
    named
    service
    ;
  secretName = "${name}-secrets";
  workloads = import ./workloads.nix {
    inherit
      lib
      name
      requests
      secretName
      selector
      ;
  };

  described = import ./description.nix {
    inherit
      images
      lib
      name
      stack
      ;
    platform = {
      database = "${name}-postgres";
      cache = "${name}-redis";
      trustedProxies = lib.concatStringsSep "," trustedProxies;
      secretFile = secret: _: "${workloads.secretFolder}/${secret}";
      inherit (workloads) secretFolder;
      reserved = [ "proxy" ];
      assertions = import ./kubernetes-only.nix {
        inherit
          gateway
          ingress
          lib
          requests
          scale
          signalInImage
          storage
          ;
      };
    };
  };
  inherit (described)
    config
    services
    startJobs
    timedJobs
    ;
  inherit (config) domains;
  programs = services ++ startJobs ++ timedJobs;

  # What only nginx can do goes through a pod of it. Where something is closed that is the whole domain, since other ways of
  # writing a path would lead past it. An Ingress sets no headers either.
  onlyNginx = route: route.static != null || route.redirect != null;
  isWhole =
    domain:
    ingress != null
    || domain.closedPaths != [ ]
    || lib.any (route: route.closed || route.stripPrefix) (lib.attrValues domain.routes);
  isProxied = domain: route: isWhole domain || onlyNginx route;
  hasProxy = lib.any (domain: lib.any (isProxied domain) (lib.attrValues domain.routes)) (
    lib.attrValues domains
  );
  entered = lib.unique (
    lib.concatMap (
      domain:
      map (route: route.service) (
        lib.filter (route: !isProxied domain route) (lib.attrValues domain.routes)
      )
    ) (lib.attrValues domains)
  );
  target =
    domain: route:
    if isProxied domains.${domain} route then
      {
        name = "${name}-proxy";
        port = ports.proxyHttp;
      }
    else
      {
        name = "${name}-${route.service}";
        inherit (config.services.${route.service}.listen) port;
      };
  proxy = import ./nginx.nix {
    inherit config lib;
    addressOf = service: "${name}-${service}:${toString config.services.${service}.listen.port}";
    resolve = false;
    tls = false;
    believed = trustedProxies;
  };

  # Pods are restarted until the jobs before them are done, so that time counts.
  startSeconds = lib.foldl' (sum: job: sum + job.timeoutSeconds) 0 startJobs;
  ofService =
    asked:
    let
      scaled = scale ? ${asked.name};
      reached =
        lib.optionalAttrs (asked.listen.type != "none") { http = asked.listen.port; }
        // lib.optionalAttrs (asked.metrics.port != null && asked.metrics.port != asked.listen.port) {
          metrics = asked.metrics.port;
        };
      standsIn = asked.rolling == "stand-in";
    in
    [
      (deployment asked.name (
        {
          strategy = {
            type = "RollingUpdate";
            # One more of the new generation first, or one less while it is replaced.
            rollingUpdate = {
              maxUnavailable = if standsIn then 0 else 1;
              maxSurge = if standsIn then 1 else 0;
            };
          };
          progressDeadlineSeconds = lib.max 600 (startSeconds + asked.startSeconds);
          template = workloads.withClient (workloads.service asked);
        }
        // lib.optionalAttrs (!scaled) { inherit (asked) replicas; }
      ))
    ]
    ++ lib.optional (reached != { }) (service asked.name reached)
    ++ lib.optional (asked.replicas > 1 || scaled) (disruption asked.name)
    ++ lib.optional scaled (autoscaler asked.name asked.replicas asked.limits scale.${asked.name})
    ++ claim asked;

  start = lib.optional (startJobs != [ ]) (
    named "Job" "batch/v1"
      "${name}-${if lib.length startJobs == 1 then (lib.head startJobs).name else "start"}"
      {
        spec = {
          backoffLimit = 5;
          activeDeadlineSeconds = startSeconds;
          ttlSecondsAfterFinished = 3600;
          template = workloads.withClient (workloads.jobs "OnFailure" { } startJobs);
        };
      }
  );
  timed =
    asked:
    [
      (named "CronJob" "batch/v1" "${name}-${asked.name}" {
        spec = {
          schedule = cron asked;
          inherit timeZone;
          concurrencyPolicy = "Forbid";
          # A run that is missed is made up for within that time.
          startingDeadlineSeconds = 3600;
          successfulJobsHistoryLimit = 1;
          failedJobsHistoryLimit = 3;
          jobTemplate.spec = {
            backoffLimit = asked.retries;
            template = workloads.withClient (
              # Of each try.
              workloads.jobs "Never" { activeDeadlineSeconds = asked.timeoutSeconds; } [ asked ]
            );
          };
        };
      })
    ]
    ++ claim asked;

  proxyObjects = import ./proxy-pod.nix {
    inherit
      deployment
      disruption
      images
      name
      named
      proxy
      service
      workloads
      ;
  };

  policies = import ./policies.nix {
    inherit
      component
      config
      entered
      lib
      monitoring
      name
      named
      nameServers
      programs
      selector
      ;
    entrance =
      if ingress != null then
        ingress.namespace
      else if gateway == null then
        namespace
      else
        gateway.namespace or gateway.parent.namespace or namespace;
    inherit namespace;
    passed = if hasProxy then proxy.upstreams else null;
  };

  metricsOf =
    asked:
    named "ServiceMonitor" "monitoring.coreos.com/v1" "${name}-${asked.name}" {
      spec = {
        selector.matchLabels."app.kubernetes.io/name" = "${name}-${asked.name}";
        endpoints = [
          {
            port = if asked.metrics.port == asked.listen.port then "http" else "metrics";
            inherit (asked.metrics) path;
            interval = "${toString contract.health.intervalSeconds}s";
          }
        ];
      };
    };

  objects = lib.filterAttrs (_: list: list != [ ]) (
    {
      namespace = [
        {
          apiVersion = "v1";
          kind = "Namespace";
          metadata = {
            name = namespace;
            labels = {
              "pod-security.kubernetes.io/enforce" = "restricted";
              "pod-security.kubernetes.io/enforce-version" = "latest";
            };
          };
        }
        (named "ServiceAccount" "v1" name { automountServiceAccountToken = false; })
      ]
      ++ lib.optional (config.database.caFile != null) (
        named "ConfigMap" "v1" "${name}-database-ca" {
          data.${baseNameOf described.caFile} = builtins.readFile config.database.caFile;
        }
      );
      start = start;
      network-policies = policies;
      monitoring = map metricsOf (lib.filter (asked: asked.metrics.port != null) services);
      proxy = lib.optionals hasProxy proxyObjects;
      routes = import ./entrance.nix {
        inherit
          domains
          gateway
          ingress
          lib
          name
          named
          target
          ;
      };
    }
    // lib.listToAttrs (
      map (asked: lib.nameValuePair "service-${asked.name}" (ofService asked)) services
      ++ map (asked: lib.nameValuePair "job-${asked.name}" (timed asked)) timedJobs
    )
  );
  # `preStop.sleep` without a feature gate; the standard channel with a route's time-outs.
  needs = "# Needs Kubernetes 1.30${
    lib.optionalString (domains != { } && ingress == null) " and the Gateway API 1.2"
  } or later.\n";
in
{
  inherit (described) config problems;
  inherit objects;
  statics = lib.optionalAttrs hasProxy proxy.statics;
  files = lib.mapAttrs (_: text: header + needs + text) (
    lib.mapAttrs' (file: list: lib.nameValuePair "${file}.yaml" (yaml.documents list)) objects
    // {
      "kustomization.yaml" = yaml.document {
        apiVersion = "kustomize.config.k8s.io/v1beta1";
        kind = "Kustomization";
        resources = map (file: "${file}.yaml") (lib.attrNames objects);
      };
    }
  );
}
