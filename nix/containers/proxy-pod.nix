# Pods of nginx for what a cluster's entrance cannot do: static files, redirects with the rest of a path, closed paths,
# prefixes taken off.
{
  name,
  named,
  deployment,
  disruption,
  service,
  workloads,
  proxy,
  images,
}:
let
  contract = import ../contract.nix;
  inherit (contract) ports;
  # Of nginx in its image.
  uid = 101;
  folder = "/etc/slipway";
  nginx = [
    "nginx"
    "-c"
    "${folder}/nginx.conf"
  ];
  health = {
    httpGet = {
      path = "/";
      port = ports.proxyPing;
    };
    timeoutSeconds = contract.health.timeoutSeconds;
  };
  pod = workloads.podOf uid "proxy" (
    {
      terminationGracePeriodSeconds = contract.times.killSeconds;
      containers = [
        {
          name = "proxy";
          image = images.proxy or "${name}-proxy";
          # The entry point of the image would write into its root.
          command = nginx ++ [
            "-g"
            "daemon off;"
          ];
          ports = [
            {
              name = "http";
              containerPort = ports.proxyHttp;
            }
          ];
          resources = workloads.resources "proxy" {
            cpus = 1;
            memoryMiB = 256;
          };
          securityContext = workloads.confined;
          startupProbe = health // {
            periodSeconds = 2;
            failureThreshold = 20;
          };
          readinessProbe = health // {
            periodSeconds = 5;
          };
          livenessProbe = health // {
            periodSeconds = contract.health.intervalSeconds;
          };
          # nginx closes what is open on SIGTERM; SIGQUIT lets it end. The pause is for the endpoints to be told.
          lifecycle.preStop.exec.command = [
            "sh"
            "-c"
            "sleep 5; ${toString nginx} -s quit; sleep 30"
          ];
          volumeMounts = [
            {
              name = "config";
              mountPath = folder;
              readOnly = true;
            }
            {
              name = "tmp";
              mountPath = "/tmp";
            }
          ];
        }
      ];
      volumes = [
        {
          name = "config";
          configMap.name = "${name}-proxy";
        }
        {
          name = "tmp";
          emptyDir = { };
        }
      ];
    }
    // workloads.spread "proxy"
  );
in
[
  (named "ConfigMap" "v1" "${name}-proxy" { data."nginx.conf" = proxy.text; })
  (deployment "proxy" {
    replicas = 2;
    strategy = {
      type = "RollingUpdate";
      rollingUpdate = {
        maxUnavailable = 0;
        maxSurge = 1;
      };
    };
    template = pod // {
      metadata = pod.metadata // {
        # Another configuration means other pods.
        annotations."slipway.dev/configuration" = builtins.hashString "sha256" proxy.text;
      };
    };
  })
  (service "proxy" { http = ports.proxyHttp; })
  (disruption "proxy")
]
