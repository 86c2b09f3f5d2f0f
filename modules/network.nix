# The host's network: open ports, and how people log in.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../nix/contract.nix;
  cfg = config.services.slipway.network;
  inherit (config.networking) firewall nftables;
  withStacks = options.services.slipway ? stacks;
  stacks = lib.optionalAttrs withStacks (
    lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks
  );
  monitoring = config.services.slipway.monitoring or { enable = false; };
  # If this module is imported alone, it is on; with the others, only hosts with a stack or the monitoring get it.
  active = cfg.enable && (stacks != { } || monitoring.enable || !withStacks);
  proxied = lib.filterAttrs (_: stack: stack.proxy.served != { }) stacks;

  # Proxies that listen only on private addresses are not public.
  public = lib.filterAttrs (_: stack: stack.proxy.listenAddresses == [ ]) proxied;
  http3 = lib.any (stack: stack.proxy.http3) (lib.attrValues public);
  # The monitoring's own domain, for people.
  site = monitoring.enable && monitoring.domain != null;
  publicSite = site && monitoring.listenAddresses == [ ];

  # Stacks whose database also serves other hosts.
  networked = lib.filterAttrs (
    _: stack: stack.database.enable && stack.database.network.enable
  ) stacks;

  telemetry = config.services.slipway.telemetry or { targets = [ ]; };

  # Ports that must not be public, with their service.
  backend = {
    ${toString contract.ports.postgres} = "Postgres";
    ${toString contract.ports.redis} = "Redis";
    ${toString contract.ports.redisTls} = "Redis";
  }
  // lib.mapAttrs' (
    _: stack: lib.nameValuePair (toString stack.proxy.pingPort) "the proxy's local listener"
  ) (lib.filterAttrs (_: stack: stack.proxy.ping) proxied)
  // lib.mapAttrs' (
    unit: address: lib.nameValuePair (lib.last (lib.splitString ":" address)) "the metrics of ${unit}"
  ) (lib.mergeAttrsList (lib.mapAttrsToList (_: stack: stack.metrics.addresses) stacks))
  // lib.listToAttrs (
    map (
      target:
      lib.nameValuePair (lib.last (lib.splitString ":" target.address)) "the metrics of ${lib.defaultTo target.job target.unit}"
    ) telemetry.targets
  )
  // lib.optionalAttrs (telemetry.door.address or null != null) {
    # Its own rule lets the monitoring host in.
    ${toString telemetry.door.port} = "the door of the telemetry";
  }
  // lib.optionalAttrs (monitoring.logs.door.address or null != null) {
    ${toString monitoring.logs.door.port} = "the door of the logs";
  }
  // lib.optionalAttrs monitoring.enable {
    ${toString config.services.prometheus.port} = "Prometheus";
    ${toString config.services.prometheus.alertmanager.port} = "Alertmanager";
  }
  // lib.mapAttrs' (name: server: lib.nameValuePair (toString server.port) "Redis ${name}") (
    lib.filterAttrs (_: server: server.enable && server.port != 0) config.services.redis.servers
  );

  within = range: port: range.from <= lib.toInt port && lib.toInt port <= range.to;
  cure = "let hosts of the stack come in over services.slipway.network.privateInterface, and name other private networks in services.slipway.network.otherPrivateInterfaces";

  # The rules of one option path, checked.
  closed =
    option: rules:
    map (port: {
      assertion = false;
      message = "${option}.allowedTCPPorts opens port ${port} of ${backend.${port}} to everybody: remove it; ${cure}.";
    }) (lib.filter (port: backend ? ${port}) (map toString (lib.unique rules.allowedTCPPorts)))
    ++ lib.concatMap (
      range:
      let
        ports = lib.filter (within range) (lib.attrNames backend);
      in
      lib.optional (ports != [ ]) {
        assertion = false;
        message = "${option}.allowedTCPPortRanges opens ${toString range.from} to ${toString range.to} to everybody, and among them ${
          lib.concatMapStringsSep ", " (port: "port ${port} of ${backend.${port}}") (lib.take 3 ports)
        }: open single ports or a range beside; ${cure}.";
      }
    ) rules.allowedTCPPortRanges;

  privateInterfaces =
    lib.optional (cfg.privateInterface != null) cfg.privateInterface ++ cfg.otherPrivateInterfaces;
  trusted = lib.intersectLists privateInterfaces firewall.trustedInterfaces;

  # Ways to give people SSH access; files in their homes cannot be seen from here.
  keyed =
    lib.any (user: user.openssh.authorizedKeys.keys ++ user.openssh.authorizedKeys.keyFiles != [ ]) (
      lib.attrValues config.users.users
    )
    || config.services.openssh.authorizedKeysCommand != "none"
    || config.services.openssh.settings ? TrustedUserCAKeys;
in
{
  options.services.slipway.network = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether this host gets the firewall, which lets only SSH, HTTP and HTTPS in, and an SSH server with keys only. It
        uses nftables, or iptables if Docker is on, which needs that; it does not cover ports that Docker publishes.
        Switch this off on a host whose network is set up elsewhere. You must then close the backend's ports yourself.
      '';
    };
    ssh = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether to run an SSH server. Without it, only the console and the agent can reach the host.";
      };
      everywhere = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether SSH is open to the world; otherwise only on `privateInterface`.";
      };
    };
    privateInterface = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "ens10";
      description = ''
        The interface of the network that the stack's hosts share. The ports of `privatePorts` are open only there. The
        traffic is still encrypted.
      '';
    };
    otherPrivateInterfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wg0" ];
      description = ''
        Interfaces of further private networks, such as a VPN's. No port is open there by default; open one with
        `networking.firewall.interfaces.<name>`. Only there and on `privateInterface` may that option open the backend's
        ports.
      '';
    };
    privatePorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 5432 ];
      description = "TCP ports to open on `privateInterface`, besides those that the stack's own options need.";
    };
  };

  config = lib.mkIf active {
    assertions =
      closed "networking.firewall" firewall
      ++ lib.concatLists (
        lib.mapAttrsToList (
          name: rules:
          lib.optionals (!(lib.elem name ([ "lo" ] ++ privateInterfaces))) (
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
          assertion = nftables.enable || nftables.tables == { } && nftables.ruleset == "";
          message = "networking.nftables has rules of this host, and networking.nftables.enable is off${lib.optionalString config.virtualisation.docker.enable " because of virtualisation.docker.enable"}, so nothing would load them: set networking.nftables.enable = true, or leave the rules out.";
        }
        {
          assertion = trusted == [ ];
          message = "networking.firewall.trustedInterfaces has the private interface ${toString trusted}, which opens every port on it: remove it there; services.slipway.network.privatePorts opens single ones.";
        }
        {
          assertion = lib.length (lib.unique privateInterfaces) == lib.length privateInterfaces;
          message = "services.slipway.network.otherPrivateInterfaces names an interface twice, or the one of privateInterface: name each once.";
        }
      ];

    warnings =
      lib.optional (cfg.ssh.enable && !keyed)
        "No user of ${config.networking.hostName} has an SSH key, and services.slipway.network takes no passwords: set users.users.root.openssh.authorizedKeys.keys, or services.slipway.network.ssh.enable = false if nobody is to log in.";

    networking = {
      # Docker writes its own rules with iptables.
      nftables.enable = lib.mkDefault (!config.virtualisation.docker.enable);
      firewall = {
        enable = lib.mkDefault true;
        allowedTCPPorts =
          lib.optionals (cfg.ssh.enable && cfg.ssh.everywhere) config.services.openssh.ports
          ++ lib.optionals (public != { } || publicSite) [
            contract.ports.http
            contract.ports.https
          ];
        allowedUDPPorts = lib.optional http3 contract.ports.https;
        interfaces = lib.mkIf (cfg.privateInterface != null) {
          ${cfg.privateInterface}.allowedTCPPorts =
            cfg.privatePorts
            ++ lib.optionals (cfg.ssh.enable && !cfg.ssh.everywhere) config.services.openssh.ports
            ++ lib.optional (public != proxied || site && !publicSite) contract.ports.https
            ++ lib.optional (networked != { }) config.services.postgresql.settings.port
            ++ lib.concatLists (
              lib.mapAttrsToList (
                _: stack: lib.optional (stack.cache.network.listenAddress != null) stack.cache.network.port
              ) stacks
            );
        };
        # A scan learns nothing and does not fill the journal.
        logRefusedConnections = lib.mkDefault false;
        rejectPackets = lib.mkDefault false;
      };
    };

    # A service may start before the private address is there.
    boot.kernel.sysctl = lib.mkIf (cfg.privateInterface != null) {
      "net.ipv4.ip_nonlocal_bind" = true;
      "net.ipv6.ip_nonlocal_bind" = true;
    };

    # nixpkgs chooses key exchange and ciphers, and keeps them up to date.
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
