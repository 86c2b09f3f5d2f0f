# Objects of Kubernetes that a program of a stack has besides its pods.
{
  lib,
  name,
  namespace,
  # Labels by program.
  selector,
  # Of what keeps files.
  storage,
}:
rec {
  named =
    kind: apiVersion: object: rest:
    {
      inherit apiVersion kind;
    }
    // rest
    // {
      metadata = {
        inherit namespace;
        name = object;
        labels = {
          "app.kubernetes.io/name" = object;
          "app.kubernetes.io/part-of" = name;
        };
      }
      // rest.metadata or { };
    };

  service =
    program: ports:
    named "Service" "v1" "${name}-${program}" {
      spec = {
        selector = selector program;
        ports = lib.mapAttrsToList (name: port: {
          inherit name port;
          targetPort = name;
        }) ports;
      };
    };
  deployment =
    program: spec:
    named "Deployment" "apps/v1" "${name}-${program}" {
      spec = {
        selector.matchLabels = selector program;
        revisionHistoryLimit = 5;
      }
      // spec;
    };
  disruption =
    program:
    named "PodDisruptionBudget" "policy/v1" "${name}-${program}" {
      spec = {
        maxUnavailable = 1;
        selector.matchLabels = selector program;
      };
    };
  autoscaler =
    program: least: limits: asked:
    named "HorizontalPodAutoscaler" "autoscaling/v2" "${name}-${program}" {
      spec = {
        scaleTargetRef = {
          apiVersion = "apps/v1";
          kind = "Deployment";
          name = "${name}-${program}";
        };
        minReplicas = least;
        maxReplicas = asked.most;
        metrics = [
          {
            type = "Resource";
            resource = {
              name = "cpu";
              # Not a part of what is requested, which says little of what a process can take.
              target = {
                type = "AverageValue";
                averageValue = "${toString (builtins.ceil (1000 * (asked.cpus or (limits.cpus * 0.35))))}m";
              };
            };
          }
        ];
        # Clients keep long connections: shrinking fast would move them all at once.
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
    };
  claim =
    asked:
    lib.optional asked.stateDirectory (
      named "PersistentVolumeClaim" "v1" "${name}-${asked.name}" {
        spec = {
          # Replicas share the files.
          accessModes = [ (if asked.replicas or 1 > 1 then "ReadWriteMany" else "ReadWriteOnce") ];
          resources.requests.storage = storage.${asked.name}.size;
        }
        // lib.optionalAttrs (storage.${asked.name} ? class) {
          storageClassName = storage.${asked.name}.class;
        };
      }
    );
}
