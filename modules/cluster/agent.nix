# What the agent does around a release on a member: the leader leaves first, and the next host waits until this one is back.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  files = cluster.of cluster.accounts.postgres;
  # Another certificate restarts neither.
  units = [
    "slipway-etcd.service"
    "slipway-patroni.service"
  ];

  program = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-cluster";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
      pkgs.gnugrep
      pkgs.jq
      config.systemd.package
    ];
    runtimeEnv = {
      MEMBER = cluster.name;
      MEMBERS = lib.concatStringsSep " " (lib.attrNames cfg.members);
      # Its own Patroni first.
      URLS = lib.concatMapStringsSep " " (
        address: "https://${cluster.hostPort address cfg.ports.patroni}"
      ) (lib.unique ([ cluster.own.address ] ++ cluster.addresses));
      SYNCHRONOUS = cfg.synchronous;
      LAG = toString cluster.defaults.lag.readBytes;
      OPERATOR = cluster.defaults.operator;
      PASSWORD_FILE = toString cfg.operatorPasswordFile;
      AUTHORITY = files.authority;
      CERTIFICATE = files.certificate;
      KEY = files.key;
      UNITS = toString units;
    };
    text = ''
      . ${../../nix/cluster/operator.sh}
      . ${./restarts.sh}
    ''
    + builtins.readFile ./cluster.sh;
  };
  # patronictl for people, with the password, the certificate and the configuration that it needs.
  control = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-cluster-patronictl";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.patroni
    ];
    text = ''
      PATRONI_RESTAPI_PASSWORD=$(cat ${lib.escapeShellArg (toString cfg.operatorPasswordFile)})
      export PATRONI_RESTAPI_PASSWORD
      exec patronictl --config-file /etc/slipway/patroni.yaml "$@"
    '';
  };
  # The program's own limit comes first, so that its message says what it waited for.
  hook = when: word: seconds: {
    inherit when;
    command = [
      (lib.getExe program)
      word
      (toString seconds)
    ];
    timeoutSeconds = seconds + 150;
  };
in
{
  config = lib.mkIf cluster.member {
    environment.systemPackages = [
      program
      control
    ];
    services.slipway = lib.optionalAttrs (options.services.slipway ? agent) {
      agent = {
        checks."member of the cluster ${cfg.name}" = {
          type = "command";
          command = [
            (lib.getExe program)
            "check"
          ];
        };
      }
      // lib.optionalAttrs (options.services.slipway.agent ? facts) {
        facts = {
          clusters.${cfg.name} = [
            (lib.getExe program)
            "members"
          ];
          certificates = [ files.certificate ];
        };
      }
      // lib.optionalAttrs (options.services.slipway.agent ? hooks) {
        hooks = {
          slipway-cluster-step-aside = hook "before_activate" "step-aside" 240;
          slipway-cluster-come-back = hook "after_commit" "come-back" 600;
        };
      };
    };
  };
}
