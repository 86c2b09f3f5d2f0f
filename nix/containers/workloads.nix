# Pods of a stack's programs.
{
  lib,
  name,
  # Labels by program.
  selector,
  secretName,
  # What programs ask for beside the default.
  requests,
}:
let
  contract = import ../contract.nix;
  inherit (contract) user;
  requestsOf = import ./requests.nix { inherit lib; };
  decimal = number: lib.removeSuffix ".0" (builtins.toJSON number);
  # Kubernetes reads `$(NAME)`.
  literal = lib.replaceStrings [ "$" ] [ "$$" ];
  variables = lib.mapAttrsToList (
    name: value: {
      inherit name;
      value = literal value;
    }
  );
  secretFolder = "/run/secrets/${name}";
  volumeOf = asked: "secrets-${asked.name}";

  # Each secret is a file that only the process's group reads.
  secretVolume = asked: {
    name = volumeOf asked;
    secret = {
      inherit secretName;
      # 0440
      defaultMode = 288;
      items = lib.mapAttrsToList (path: key: { inherit key path; }) asked.secrets;
    };
  };
in
rec {
  inherit secretFolder;

  resources =
    program: limits:
    let
      asked = {
        inherit limits;
        requests = requestsOf limits // requests.${program} or { };
      };
    in
    lib.mapAttrs (_: numbers: {
      cpu = decimal numbers.cpus;
      memory = "${toString numbers.memoryMiB}Mi";
    }) asked;
  confined = {
    allowPrivilegeEscalation = false;
    readOnlyRootFilesystem = true;
    capabilities.drop = [ "ALL" ];
  };
  podOf = uid: program: spec: {
    metadata.labels = selector program;
    spec = {
      serviceAccountName = name;
      automountServiceAccountToken = false;
      enableServiceLinks = false;
      securityContext = {
        runAsNonRoot = true;
        runAsUser = uid;
        runAsGroup = uid;
        fsGroup = uid;
        seccompProfile.type = "RuntimeDefault";
      };
    }
    // spec;
  };

  # One program with what is around it; pods are made of them.
  container =
    asked:
    {
      inherit (asked) name;
      image = if asked.image != null then asked.image else "${name}-${asked.shared}";
      env = variables asked.environment;
      resources = resources asked.name asked.limits;
      securityContext = confined;
      volumeMounts =
        lib.optional (asked.secrets != { }) {
          name = volumeOf asked;
          mountPath = secretFolder;
          readOnly = true;
        }
        ++ lib.optional asked.stateDirectory {
          name = "state-${asked.name}";
          mountPath = asked.stateFolder;
        }
        ++ lib.optional (asked.caFile != null) {
          name = "database-ca";
          mountPath = dirOf asked.caFile;
          readOnly = true;
        }
        ++ [
          {
            name = "tmp";
            mountPath = "/tmp";
          }
        ];
    }
    // lib.optionalAttrs (asked.arguments != [ ]) { args = map literal asked.arguments; };

  volumes =
    programs:
    map secretVolume (lib.filter (asked: asked.secrets != { }) programs)
    ++ map (asked: {
      name = "state-${asked.name}";
      persistentVolumeClaim.claimName = "${name}-${asked.name}";
    }) (lib.filter (asked: asked.stateDirectory) programs)
    ++ lib.optional (lib.any (asked: asked.caFile != null) programs) {
      name = "database-ca";
      configMap.name = "${name}-database-ca";
    }
    ++ [
      {
        name = "tmp";
        emptyDir = { };
      }
    ];

  # Not two replicas on one node or in one zone, while there are others.
  spread = program: {
    topologySpreadConstraints =
      map
        (topologyKey: {
          inherit topologyKey;
          maxSkew = 1;
          whenUnsatisfiable = "ScheduleAnyway";
          labelSelector.matchLabels = selector program;
        })
        [
          "kubernetes.io/hostname"
          "topology.kubernetes.io/zone"
        ];
  };

  service =
    asked:
    let
      inherit (asked) health;
      listens = asked.listen.type != "none";
      measured = asked.metrics.port != null && asked.metrics.port != asked.listen.port;
      action =
        probe:
        if probe ? http then
          {
            httpGet = {
              path = probe.http;
              port = "http";
            };
          }
        else if probe ? tcp then
          { tcpSocket.port = "http"; }
        else
          { exec.command = health.command probe.command; };
      itself = if health.itself == null then null else { command = health.itself; };
      live = if health.live != null then health.live else itself;
      ready = health.ready;
      started = if live != null then live else ready;
      bounded = probe: action probe // { inherit (health) timeoutSeconds; };
    in
    podOf user.uid asked.name (
      {
        # Together with the pause before the signal.
        terminationGracePeriodSeconds = asked.stopSeconds + (if listens then pauseSeconds else 0);
        containers = [
          (
            container asked
            // {
              ports =
                lib.optional listens {
                  name = "http";
                  containerPort = asked.listen.port;
                }
                ++ lib.optional measured {
                  name = "metrics";
                  containerPort = asked.metrics.port;
                };
            }
            // lib.optionalAttrs (started != null) {
              # Until it passes for the first time the other probes wait.
              startupProbe = bounded started // {
                periodSeconds = 2;
                failureThreshold = lib.max 1 (asked.startSeconds / 2);
              };
            }
            // lib.optionalAttrs (live != null) {
              livenessProbe = bounded live // {
                periodSeconds = health.intervalSeconds;
                failureThreshold = health.retries;
              };
            }
            // lib.optionalAttrs (ready != null) {
              readinessProbe = bounded ready // {
                periodSeconds = pauseSeconds;
                failureThreshold = health.retries;
              };
            }
            // lib.optionalAttrs listens {
              # The signal comes when the endpoints have been told, so that nobody is sent to a listener that is closing.
              lifecycle.preStop.sleep.seconds = pauseSeconds;
            }
          )
        ];
        volumes = volumes [ asked ];
      }
      // spread asked.name
    );
  pauseSeconds = 5;

  # What the policies let out to the stack's services, database and cache.
  withClient =
    pod: lib.recursiveUpdate pod { metadata.labels."slipway.dev/backend-client" = "true"; };

  # The last one is the pod's own; those before it run first, one after another.
  jobs =
    restartPolicy: spec: programs:
    let
      last = lib.last programs;
    in
    podOf user.uid last.name (
      {
        inherit restartPolicy;
        terminationGracePeriodSeconds = contract.times.killSeconds;
        containers = [ (container last) ];
        volumes = volumes programs;
      }
      // lib.optionalAttrs (lib.length programs > 1) {
        initContainers = map container (lib.init programs);
      }
      // spec
    );
}
