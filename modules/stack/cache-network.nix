# A stack's Redis across hosts: the host that has it listens with TLS. The others have a tunnel to it that looks like a
# local Redis, so that programs which speak no TLS to Redis can use it: a password must not cross a wire without.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isHost;
  hardening = import ../../nix/lib/hardening.nix;
  enabled = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  serving = lib.filterAttrs (
    _: stack: stack.cache.enable && stack.cache.network.listenAddress != null
  ) enabled;
  remote = lib.filterAttrs (
    _: stack: stack.cache.remote.address != null && !stack.cache.enable
  ) enabled;
  tunnel = name: "${name}-cache-tunnel";

  certificate =
    whose:
    mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./certificates/db.pem";
      description = "A PEM file with the certificate of this host${whose}. It is not secret.";
    };
  key =
    who:
    mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/db-key";
      description = "The PEM file with that certificate's private key, readable by ${who}.";
    };
  authority = mkOption {
    type = types.nullOr types.path;
    default = null;
    example = "/etc/slipway/fleet-ca.pem";
    description = "A PEM file with the authority that the other end's certificate must come from.";
  };
  port = mkOption {
    type = types.port;
    default = contract.ports.redisTls;
    example = 16379;
    description = "The TCP port, for TLS only.";
  };

  networkOptions =
    { name, config, ... }:
    {
      options.cache = {
        network = {
          inherit authority port;
          listenAddress = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "10.1.0.20";
            description = ''
              The private address where other hosts reach this Redis, over TLS and with a certificate of their own. Unset: it
              has its socket only.
            '';
          };
          certificate = certificate "";
          key = key "the user redis-NAME";
        };
        remote = {
          inherit authority port;
          address = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "10.1.0.20";
            description = "The host whose `cache.network` this host uses instead of a Redis of its own.";
          };
          name = mkOption {
            type = types.str;
            default = "";
            example = "db.internal";
            description = "The name that the other host's certificate must be for.";
          };
          certificate = certificate ", which the other one asks for";
          key = key "root";
        };
      };
      config = lib.mkIf (config.cache.remote.address != null) {
        cache.enable = lib.mkDefault false;
        cache.address = lib.mkIf (!config.cache.enable) "/run/slipway-cache-tunnel/${name}/redis.sock";
        requires = lib.mkIf (!config.cache.enable) [ "${tunnel name}.service" ];
      };
    };

  configuration =
    name: stack:
    let
      credential = what: "/run/credentials/${tunnel name}.service/${what}";
    in
    pkgs.writeText "${tunnel name}.conf" ''
      foreground = quiet
      debug = notice
      pid =
      [redis]
      client = yes
      accept = ${stack.cache.address}
      connect = ${stack.cache.remote.address}:${toString stack.cache.remote.port}
      cert = ${credential "certificate"}
      key = ${credential "key"}
      CAfile = ${stack.cache.remote.authority}
      verifyChain = yes
      checkHost = ${stack.cache.remote.name}
      sslVersionMin = TLSv1.2
      TIMEOUTconnect = ${toString contract.times.connectSeconds}
      TIMEOUTclose = 0
    '';

  tunnelUnit = name: stack: {
    description = "${name}: tunnel to its Redis on ${stack.cache.remote.address}";
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" ];
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = hardening { addresses = [ stack.cache.remote.address ]; } // {
      ExecStartPre = "-${pkgs.coreutils}/bin/rm -f ${stack.cache.address}";
      ExecStart = "${lib.getExe pkgs.stunnel} ${configuration name stack}";
      User = stack.user;
      Group = stack.group;
      LoadCredential = [
        "certificate:${stack.cache.remote.certificate}"
        "key:${stack.cache.remote.key}"
      ];
      RuntimeDirectory = "slipway-cache-tunnel/${name}";
      RuntimeDirectoryMode = "0750";
      Restart = "always";
      RestartSec = 1;
      MemoryMax = "128M";
    };
  };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule networkOptions);
  };

  config = {
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: stack:
        let
          option = what: "services.slipway.stacks.${name}.cache.${what}";
          inherit (stack.cache) network remote;
          # One that no other host knows.
          ownPassword =
            stack.cache.passwordFile == null || lib.hasPrefix "/run/slipway-cache/" stack.cache.passwordFile;
          notAddress = what: value: {
            assertion = value == null || isHost value;
            message = "${option what} is ${toString value}, and must be the host's IP address, such as 10.1.0.20.";
          };
          complete = end: end.certificate != null && end.key != null && end.authority != null;
        in
        [
          (notAddress "network.listenAddress" network.listenAddress)
          (notAddress "remote.address" remote.address)
          {
            assertion = !(stack.cache.enable && remote.address != null);
            message = "${option "enable"} and ${option "remote.address"} give this host two Redis instances: set ${option "enable"} = false, or leave the address out.";
          }
          {
            assertion = remote.address == null || stack.cache.urlFile == null;
            message = "${option "urlFile"} and ${option "remote.address"} name two Redis instances: leave one out.";
          }
          {
            assertion = network.listenAddress == null || stack.cache.enable;
            message = "${option "network.listenAddress"} is set and ${option "enable"} is not: there is no Redis here to listen; set it on the host that has it.";
          }
          {
            assertion = network.listenAddress == null || complete network;
            message = "${option "network.listenAddress"} is set without TLS: set ${option "network.certificate"}, key and authority as well.";
          }
          {
            assertion =
              network.listenAddress == null
              || !(lib.elem network.listenAddress [
                "0.0.0.0"
                "::"
                "*"
              ]);
            message = "${option "network.listenAddress"} is every address of this host: give its address in the private network.";
          }
          {
            assertion = network.listenAddress == null || !ownPassword;
            message = "${option "passwordFile"} is made on this host, so no other knows it: give all hosts of the stack one with the same content.";
          }
          {
            assertion = remote.address == null || (complete remote && remote.name != "");
            message = "${option "remote.address"} is set without TLS: set ${option "remote.name"}, certificate, key and authority as well.";
          }
          {
            assertion = remote.address == null || !ownPassword;
            message = "${option "passwordFile"} is needed for ${option "remote.address"}: give the file with the password of the Redis there.";
          }
        ]
      ) enabled
    );

    services.redis.servers = lib.mapAttrs (_: stack: {
      bind = stack.cache.network.listenAddress;
      settings = {
        tls-port = stack.cache.network.port;
        tls-cert-file = "${stack.cache.network.certificate}";
        tls-key-file = stack.cache.network.key;
        tls-ca-cert-file = "${stack.cache.network.authority}";
        tls-auth-clients = true;
        tls-protocols = "\"TLSv1.2 TLSv1.3\"";
      };
    }) serving;

    systemd.services =
      lib.mapAttrs' (name: stack: lib.nameValuePair (tunnel name) (tunnelUnit name stack)) remote
      # Who may come is the firewall's to say (network.nix); of the rest each shows a certificate.
      // lib.mapAttrs' (
        name: _: lib.nameValuePair "redis-${name}" { serviceConfig.IPAddressAllow = "any"; }
      ) serving;
  };
}
