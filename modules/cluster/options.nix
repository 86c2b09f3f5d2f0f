# services.slipway.cluster: the same on every host, members and those that use it.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (import ../../nix/cluster) defaults;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  cfg = config.services.slipway.cluster;

  port =
    name: description:
    mkOption {
      type = types.port;
      default = defaults.ports.${name};
      example = defaults.ports.${name} + 1000;
      inherit description;
    };
  secret =
    example: description:
    mkOption {
      type = types.nullOr externalPath;
      default = null;
      inherit example description;
    };
in
{
  options.services.slipway.cluster = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether this host is a member of a cluster of Postgres servers, or uses one: see docs/high-availability.md.";
    };
    role = mkOption {
      type = types.enum [
        "member"
        "client"
      ];
      default = "member";
      example = "client";
      description = ''
        `member`: this host runs one of the servers, and is one of `members` by its `networking.hostName`. `client`: it only
        has the two ports that lead to the cluster.
      '';
    };
    name = mkOption {
      type = types.strMatching "[a-z][a-z0-9-]{0,30}";
      default = "main";
      example = "shop";
      description = "The cluster's name. Patroni calls it the scope. Another name is another cluster, so it cannot change.";
    };
    members = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.address = mkOption {
            type = types.str;
            example = "10.1.0.21";
            description = "The member's address in the private network.";
          };
        }
      );
      default = { };
      example = {
        ha-1.address = "10.1.0.21";
        ha-2.address = "10.1.0.22";
        ha-3.address = "10.1.0.23";
      };
      description = ''
        The hosts with a server, by `networking.hostName`, in the same way on every host. Three survive the loss of one, five
        that of two. A majority must be there for the cluster to have a leader.
      '';
    };
    clients = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.1.0.11" ];
      description = "Addresses of hosts that use the cluster and are no members. The firewall of members lets them in to Postgres and to the question who leads.";
    };
    serverName = mkOption {
      type = types.str;
      default = "${cfg.name}.cluster.internal";
      defaultText = lib.literalMD "`NAME.cluster.internal`";
      example = "db.example.com";
      description = "The name by which programs know the cluster. Every member's certificate has it. On each host it leads to 127.0.0.1, where the two ports are.";
    };
    authority = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./cluster-authority.pem";
      description = ''
        A PEM file with the authority of the members' certificates. It signs members and nothing else, since who has a
        certificate of it may write to etcd. It is not secret.
      '';
    };
    certificate = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./ha-1.pem";
      description = "A PEM file with this member's certificate, for servers and clients. Its names are `serverName` and the member's address. It is not secret.";
    };
    key = secret "/run/agenix/ha-1-key" "The certificate's key, PEM, outside the Nix store, readable by root.";
    replicationPasswordFile = secret "/run/agenix/cluster-replication" "A file outside the Nix store with the password of members that copy from the leader. It is the same on all members.";
    rewindPasswordFile = secret "/run/agenix/cluster-rewind" "A file outside the Nix store with the password of members that undo changes which no other member has (pg_rewind). It is the same on all members.";
    operatorPasswordFile = secret "/run/agenix/cluster-operator" "A file outside the Nix store with the password for changes to the cluster, such as a switchover. It is the same on all members.";
    synchronous = mkOption {
      type = types.enum [
        "on"
        "strict"
        "off"
      ];
      default = "on";
      example = "strict";
      description = ''
        `on`: a commit is acknowledged once a standby has it too, so that no acknowledged commit is lost with a host. While no
        standby is there, the leader goes on alone. `strict`: a leader without a standby takes no writes. `off`: commits are
        faster, and those of the last moments are lost with the leader's host.
      '';
    };
    watchdog = mkOption {
      type = types.enum [
        "off"
        "automatic"
        "required"
      ];
      default = "automatic";
      example = "required";
      description = ''
        The device that restarts a host whose Patroni hangs while it leads. `automatic` uses /dev/watchdog if it is there;
        `required` lets no host lead without it.
      '';
    };
    disk.lowMiB = mkOption {
      type = types.ints.unsigned;
      default = defaults.disk.lowMiB;
      example = 2048;
      description = ''
        Free space in MiB. A leader that has less for its data, WAL or tablespaces hands over to a synchronous standby that has
        more. If there is none, it goes on. A member has room again with a quarter more than this. 0: no member hands over
        because of its disk.
      '';
    };
    ports = lib.mapAttrs port {
      postgres = "The port of the servers, on the members' addresses.";
      patroni = "The port at which members say who leads.";
      etcdClient = "The port of etcd for Patroni.";
      etcdPeer = "The port of etcd for other members.";
      etcdMetrics = "The port of etcd's metrics, on 127.0.0.1.";
      patroniMetrics = "The port of Patroni's metrics, on 127.0.0.1.";
      leader = "The port on 127.0.0.1 that leads to the leader.";
      read = "The port on 127.0.0.1 that leads to a standby, or to the leader while no standby is near enough.";
      proxyMetrics = "The port of HAProxy's metrics, on 127.0.0.1.";
    };
    hosts = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
      example = lib.literalExpression "self.nixosConfigurations";
      description = "The flake's hosts. The build then says when another host describes this cluster in another way.";
    };
  };
}
