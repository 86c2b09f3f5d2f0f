# etcd of a member: who leads is written there, and a majority of members decides.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cluster = import ./lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  account = cluster.accounts.etcd;
  hardening = import ../../nix/lib/hardening.nix;
  configuration = (import ../../nix/cluster).etcd (
    cluster.common
    // {
      files = cluster.of account // {
        etcdData = "/var/lib/slipway-etcd";
      };
    }
  );
  files = cluster.of account;
  # etcdctl finds them in its environment.
  certificates = {
    ETCDCTL_API = "3";
    ETCDCTL_CACERT = files.authority;
    ETCDCTL_CERT = files.certificate;
    ETCDCTL_KEY = files.key;
  };
  endpoint = name: "https://${cluster.hostPort cfg.members.${name}.address cfg.ports.etcdClient}";
  start = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-etcd-start";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
      pkgs.etcd
      pkgs.haproxy
      pkgs.jq
    ];
    runtimeEnv = certificates // {
      OTHERS = lib.concatMapStringsSep "," endpoint (lib.remove cluster.name (lib.attrNames cfg.members));
    };
    text = builtins.readFile ./etcd.sh;
  };
  # For people.
  control = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-cluster-etcdctl";
    runtimeInputs = [ pkgs.etcd ];
    runtimeEnv = certificates // {
      ETCDCTL_ENDPOINTS = endpoint cluster.name;
    };
    text = ''exec etcdctl "$@"'';
  };
in
{
  config = lib.mkIf cluster.member {
    environment.systemPackages = [ control ];
    users.users.${account} = {
      isSystemUser = true;
      group = account;
      description = "Keeps who leads the cluster of Postgres";
    };
    users.groups.${account} = { };
    systemd.services.slipway-etcd = {
      description = "etcd of the cluster ${cfg.name}";
      wantedBy = [ "multi-user.target" ];
      # Without the certificate it tries again until it is there.
      wants = [
        "network-online.target"
        "slipway-cluster-certificate.service"
      ];
      after = [
        "network-online.target"
        "slipway-cluster-certificate.service"
      ];
      environment = configuration;
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { addresses = cluster.addresses ++ [ "localhost" ]; } // {
        # It is ready once a majority is there; a switch of the first host must not wait for the others.
        Type = "exec";
        ExecStart = lib.getExe start;
        User = account;
        Group = account;
        StateDirectory = "slipway-etcd";
        StateDirectoryMode = "0700";
        Restart = "always";
        RestartSec = 2;
        LimitNOFILE = 40000;
        # Whoever is slow here loses the lead.
        Nice = -10;
        IOSchedulingClass = "best-effort";
        IOSchedulingPriority = 0;
        OOMScoreAdjust = -900;
      };
    };
  };
}
