# The control plane on Kubernetes, as data: a list of objects for each file. Only builtins.
# Postgres and Redis are the cluster's own; the policies know them by their labels.
{ contract }:
let
  inherit (contract)
    paths
    ports
    proxy
    replicas
    times
    ;
  workloads = import ./workloads.nix { inherit contract; };
  inherit (workloads) labels selector;

  namespace = "slipway";
  named =
    kind: apiVersion: name: rest:
    {
      inherit apiVersion kind;
    }
    // rest
    // {
      metadata = {
        inherit name namespace;
        labels = labels name;
      }
      // rest.metadata or { };
    };

  deployment =
    name: spec:
    named "Deployment" "apps/v1" name {
      spec = {
        selector.matchLabels = selector name;
        strategy = {
          type = "RollingUpdate";
          rollingUpdate = {
            maxUnavailable = 0;
            maxSurge = 1;
          };
        };
        progressDeadlineSeconds = times.migrateSeconds;
        revisionHistoryLimit = 5;
      }
      // spec;
    };

  service =
    name: port:
    named "Service" "v1" name {
      spec = {
        selector = selector name;
        ports = port;
      };
    };

  disruption =
    name:
    named "PodDisruptionBudget" "policy/v1" name {
      spec = {
        maxUnavailable = 1;
        selector.matchLabels = selector name;
      };
    };

  metricsOf =
    name:
    named "ServiceMonitor" "monitoring.coreos.com/v1" name {
      spec = {
        selector.matchLabels = selector name;
        endpoints = [
          {
            port = "metrics";
            path = paths.metrics;
            interval = "${toString contract.health.intervalSeconds}s";
          }
        ];
      };
    };

  tcp = port: {
    protocol = "TCP";
    inherit port;
  };
  pods = labels: { podSelector.matchLabels = labels; };
  # Of the cluster's parts that are not ours; kubernetes.io/metadata.name is set by Kubernetes itself.
  inNamespace = name: {
    namespaceSelector.matchLabels."kubernetes.io/metadata.name" = name;
  };
  component = name: {
    "app.kubernetes.io/part-of" = "slipway";
    "app.kubernetes.io/component" = name;
  };
  policy =
    name: spec:
    named "NetworkPolicy" "networking.k8s.io/v1" name {
      inherit spec;
    };
  backendOnly =
    name: port:
    policy name {
      podSelector.matchLabels = component name;
      policyTypes = [ "Ingress" ];
      ingress = [
        {
          from = [ (pods { "slipway.dev/backend-client" = "true"; }) ];
          ports = [ (tcp port) ];
        }
      ];
    };
in
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
    (named "ServiceAccount" "v1" "slipway" { automountServiceAccountToken = false; })
  ];

  settings = [ (named "ConfigMap" "v1" "slipway-settings" { data = workloads.settings; }) ];

  migrate = [
    (named "Job" "batch/v1" "slipway-migrate" {
      spec = {
        backoffLimit = 5;
        activeDeadlineSeconds = times.migrateSeconds;
        ttlSecondsAfterFinished = 3600;
        template = workloads.migrate;
      };
    })
  ];

  api = [
    (deployment "slipway-api" { template = workloads.api; })
    (service "slipway-api" [
      {
        name = "http";
        port = ports.api;
        targetPort = "http";
      }
      {
        name = "metrics";
        port = ports.apiMetrics;
        targetPort = "metrics";
      }
    ])
    (disruption "slipway-api")
    (named "HorizontalPodAutoscaler" "autoscaling/v2" "slipway-api" {
      spec = {
        scaleTargetRef = {
          apiVersion = "apps/v1";
          kind = "Deployment";
          name = "slipway-api";
        };
        minReplicas = replicas.api;
        maxReplicas = replicas.apiMost;
        metrics = [
          {
            type = "Resource";
            resource = {
              name = "cpu";
              target = {
                type = "Utilization";
                averageUtilization = 70;
              };
            };
          }
        ];
        # Agents keep long connections: shrinking fast would move them all at once.
        behavior.scaleDown = {
          stabilizationWindowSeconds = 300;
          policies = [
            {
              type = "Pods";
              value = 1;
              periodSeconds = 60;
            }
          ];
        };
      };
    })
  ];

  worker = [
    (deployment "slipway-worker" {
      replicas = replicas.worker;
      template = workloads.worker;
    })
    (service "slipway-worker" [
      {
        name = "metrics";
        port = ports.workerMetrics;
        targetPort = "metrics";
      }
    ])
    (disruption "slipway-worker")
  ];

  ingress = [
    (named "Ingress" "networking.k8s.io/v1" "slipway" {
      metadata = {
        name = "slipway";
        inherit namespace;
        labels = labels "slipway";
        annotations = {
          "nginx.ingress.kubernetes.io/proxy-body-size" = "${toString proxy.bodyMiB}m";
          "nginx.ingress.kubernetes.io/proxy-connect-timeout" = toString times.connectSeconds;
          "nginx.ingress.kubernetes.io/proxy-read-timeout" = toString times.proxyRequestSeconds;
          # By address; agents behind one NAT share theirs.
          "nginx.ingress.kubernetes.io/limit-rps" = toString proxy.longPoll.perSecond;
          "nginx.ingress.kubernetes.io/limit-burst-multiplier" = toString (
            proxy.longPoll.burst / proxy.longPoll.perSecond
          );
          "nginx.ingress.kubernetes.io/limit-connections" = toString proxy.connectionsPerAddress;
          # A replica whose connection breaks; a 503 is an answer.
          "nginx.ingress.kubernetes.io/proxy-next-upstream" = "error timeout";
          "nginx.ingress.kubernetes.io/ssl-redirect" = "true";
        };
      };
      spec = {
        ingressClassName = "nginx";
        tls = [
          {
            hosts = [ "slipway.example.org" ];
            secretName = "slipway-tls";
          }
        ];
        rules = [
          {
            host = "slipway.example.org";
            http.paths = [
              {
                path = "/";
                pathType = "Prefix";
                backend.service = {
                  name = "slipway-api";
                  port.name = "http";
                };
              }
            ];
          }
        ];
      };
    })
  ];

  network-policies = [
    # What no policy below allows is refused, in both directions.
    (policy "default-deny" {
      podSelector = { };
      policyTypes = [
        "Ingress"
        "Egress"
      ];
    })
    (policy "slipway-api" {
      podSelector.matchLabels = selector "slipway-api";
      policyTypes = [ "Ingress" ];
      ingress = [
        {
          from = [ (inNamespace "ingress-nginx") ];
          ports = [ (tcp ports.api) ];
        }
        {
          from = [ (inNamespace "monitoring") ];
          ports = [ (tcp ports.apiMetrics) ];
        }
      ];
    })
    (policy "slipway-worker" {
      podSelector.matchLabels = selector "slipway-worker";
      policyTypes = [ "Ingress" ];
      ingress = [
        {
          from = [ (inNamespace "monitoring") ];
          ports = [ (tcp ports.workerMetrics) ];
        }
      ];
    })
    (policy "backend-clients" {
      podSelector.matchLabels."slipway.dev/backend-client" = "true";
      policyTypes = [ "Egress" ];
      egress = [
        {
          # A name server in the cluster, or NodeLocal DNSCache on the node at its usual address.
          to = [
            (inNamespace "kube-system")
            { ipBlock.cidr = "169.254.20.10/32"; }
          ];
          ports = [
            (tcp 53)
            {
              protocol = "UDP";
              port = 53;
            }
          ];
        }
        {
          to = [ (pods (component "database")) ];
          ports = [ (tcp ports.postgres) ];
        }
        {
          to = [ (pods (component "cache")) ];
          ports = [ (tcp ports.redis) ];
        }
      ];
    })
    (backendOnly "database" ports.postgres)
    (backendOnly "cache" ports.redis)
  ];

  monitoring = [
    (metricsOf "slipway-api")
    (metricsOf "slipway-worker")
  ];

  kustomization = [
    {
      apiVersion = "kustomize.config.k8s.io/v1beta1";
      kind = "Kustomization";
      resources = [
        "namespace.yaml"
        "settings.yaml"
        "migrate.yaml"
        "api.yaml"
        "worker.yaml"
        "ingress.yaml"
        "network-policies.yaml"
        "monitoring.yaml"
      ];
    }
  ];
}
