# The host towards the network: what is open, and how one logs in.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../nix/contract.nix;
  cfg = config.services.slipway.network;
  inherit (config.networking) firewall;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  proxied = lib.filterAttrs (_: stack: stack.proxy.enable) stacks;

  # Proxies that listen on private addresses alone are not for the world.
  public = lib.filterAttrs (_: stack: stack.proxy.listenAddresses == [ ]) proxied;
  http3 = lib.any (stack: stack.proxy.http3) (lib.attrValues public);

  # Ports that the world must not reach, by what listens there.
  backend = {
    ${toString contract.ports.postgres} = "Postgres";
    ${toString contract.ports.redis} = "Redis";
    ${toString contract.ports.redisTls} = "Redis";
    ${toString contract.ports.api} = "the api";
    ${toString contract.ports.proxyPing} = "the proxy's local listener";
  }
  // lib.mapAttrs' (
    unit: address: lib.nameValuePair (lib.last (lib.splitString ":" address)) "the metrics of ${unit}"
  ) (lib.mergeAttrsList (lib.mapAttrsToList (_: stack: stack.metrics.addresses) stacks))
  // lib.mapAttrs' (name: server: lib.nameValuePair (toString server.port) "Redis ${name}") (
    lib.filterAttrs (_: server: server.enable && server.port != 0) config.services.redis.servers
  );

  opened =
    rules:
    map toString rules.allowedTCPPorts
    ++ lib.concatMap (range: map toString (lib.range range.from range.to)) (
      lib.filter (range: range.to - range.from < 4096) rules.allowedTCPPortRanges
    );
  wide = rules: lib.filter (range: range.to - range.from >= 4096) rules.allowedTCPPortRanges;

  # The rules of one option path, checked.
  closed =
    option: rules:
    map (port: {
      assertion = false;
      message = "${option}.allowedTCPPorts opens port ${port} of ${backend.${port}} to everybody: remove it, and let hosts of the stack come in over services.slipway.network.privateInterface.";
    }) (lib.filter (port: backend ? ${port}) (lib.unique (opened rules)))
    ++ map (range: {
      assertion = false;
      message = "${option}.allowedTCPPortRanges opens ${toString range.from} to ${toString range.to}, the backend's ports among them: open single ports.";
    }) (wide rules);
in
{
  options.services.slipway.network = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether this host gets the firewall (nftables: SSH, HTTP and HTTPS come in, nothing else) and the SSH server with
        keys only. Switch it off on a host whose network is set up elsewhere; the backend's ports are then yours to close.
      '';
    };
    ssh = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether to run an SSH server. Without one only the console and the agent reach the host.";
      };
      everywhere = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether SSH is open to the world; else only on `privateInterface`.";
      };
    };
    privateInterface = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "ens10";
      description = ''
        The interface of the network that the stack's hosts share. The ports of `privatePorts` come in over it alone. What
        crosses it is encrypted all the same.
      '';
    };
    privatePorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 5432 ];
      description = "TCP ports that come in over `privateInterface`, besides those that the stack's own options need.";
    };
  };

  config = lib.mkIf (cfg.enable && stacks != { }) {
    assertions =
      closed "networking.firewall" firewall
      ++ lib.concatLists (
        lib.mapAttrsToList (
          name: rules:
          lib.optionals (name != cfg.privateInterface && name != "lo") (
            closed "networking.firewall.interfaces.${name}" rules
          )
        ) firewall.interfaces
      )
      ++ [
        {
          assertion = firewall.enable;
          message = "networking.firewall.enable is off, so every listener of this host is open to the world: leave it on, or set services.slipway.network.enable = false and close the backend's ports yourself.";
        }
        {
          assertion = cfg.privatePorts == [ ] || cfg.privateInterface != null;
          message = "services.slipway.network.privatePorts has ports and no interface to open them on: set services.slipway.network.privateInterface.";
        }
        {
          assertion = !cfg.ssh.enable || cfg.ssh.everywhere || cfg.privateInterface != null;
          message = "services.slipway.network.ssh.everywhere is off and there is no other way in: set services.slipway.network.privateInterface, or ssh.enable = false.";
        }
        {
          assertion =
            cfg.privateInterface == null || !(lib.elem cfg.privateInterface firewall.trustedInterfaces);
          message = "networking.firewall.trustedInterfaces has the private interface ${toString cfg.privateInterface}, which opens every port on it: remove it there; services.slipway.network.privatePorts opens single ones.";
        }
      ];

    networking = {
      nftables.enable = true;
      firewall = {
        enable = lib.mkDefault true;
        allowedTCPPorts =
          lib.optionals (cfg.ssh.enable && cfg.ssh.everywhere) config.services.openssh.ports
          ++ lib.optionals (public != { }) [
            contract.ports.http
            contract.ports.https
          ];
        allowedUDPPorts = lib.optional http3 contract.ports.https;
        interfaces = lib.mkIf (cfg.privateInterface != null) {
          ${cfg.privateInterface}.allowedTCPPorts =
            cfg.privatePorts
            ++ lib.optionals (cfg.ssh.enable && !cfg.ssh.everywhere) config.services.openssh.ports
            ++ lib.optional (public != proxied) contract.ports.https
            ++ lib.concatLists (
              lib.mapAttrsToList (
                _: stack: lib.optional (stack.cache.network.listenAddress != null) stack.cache.network.port
              ) stacks
            );
        };
        # Who scans learns nothing, and the journal is not filled by it.
        logRefusedConnections = lib.mkDefault false;
        rejectPackets = lib.mkDefault false;
      };
    };

    # What listens on the private address may be up before that is.
    boot.kernel.sysctl = lib.mkIf (cfg.privateInterface != null) {
      "net.ipv4.ip_nonlocal_bind" = true;
      "net.ipv6.ip_nonlocal_bind" = true;
    };

    # Key exchange and ciphers are nixpkgs' choice, which is better kept up than a list here.
    services.openssh = lib.mkIf cfg.ssh.enable {
      enable = true;
      # The rules above open the port.
      openFirewall = false;
      settings = {
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
        PermitRootLogin = lib.mkDefault "prohibit-password";
        X11Forwarding = false;
        AllowAgentForwarding = lib.mkDefault false;
        MaxAuthTries = lib.mkDefault 3;
        LoginGraceTime = lib.mkDefault 30;
        MaxStartups = lib.mkDefault "20:30:100";
      };
    };
  };
}
