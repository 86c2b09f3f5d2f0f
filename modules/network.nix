# The host towards the network: what is open, and how one logs in.
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
  inherit (config.networking) firewall;
  withStacks = options.services.slipway ? stacks;
  stacks = lib.optionalAttrs withStacks (
    lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks
  );
  # Alone this file is imported for the sake of what it does; with the others, only hosts with a stack get it.
  active = cfg.enable && (stacks != { } || !withStacks);
  proxied = lib.filterAttrs (_: stack: stack.proxy.enable) stacks;

  # Proxies that listen on private addresses alone are not for the world.
  public = lib.filterAttrs (_: stack: stack.proxy.listenAddresses == [ ]) proxied;
  http3 = lib.any (stack: stack.proxy.http3) (lib.attrValues public);

  # Whose database is for other hosts as well.
  networked = lib.filterAttrs (
    _: stack: stack.database.enable && stack.database.network.enable
  ) stacks;

  # Ports that the world must not reach, by what listens there.
  backend = {
    ${toString contract.ports.postgres} = "Postgres";
    ${toString contract.ports.redis} = "Redis";
    ${toString contract.ports.redisTls} = "Redis";
  }
  // lib.mapAttrs' (
    _: stack: lib.nameValuePair (toString stack.proxy.pingPort) "the proxy's local listener"
  ) proxied
  // lib.mapAttrs' (
    unit: address: lib.nameValuePair (lib.last (lib.splitString ":" address)) "the metrics of ${unit}"
  ) (lib.mergeAttrsList (lib.mapAttrsToList (_: stack: stack.metrics.addresses) stacks))
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

  # Ways to tell the SSH server whom to let in; a file in somebody's home cannot be seen from here.
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
        Whether this host gets the firewall (SSH, HTTP and HTTPS come in, nothing else) and the SSH server with keys only.
        It is nftables' unless Docker, which needs iptables, is on; ports that Docker publishes go past it. Switch it off on
        a host whose network is set up elsewhere; the backend's ports are then yours to close.
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
    otherPrivateInterfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wg0" ];
      description = ''
        Interfaces of further private networks, such as a VPN's. Nothing is opened there by itself:
        `networking.firewall.interfaces.<name>` does it, and only there and on `privateInterface` may it open the backend's
        ports.
      '';
    };
    privatePorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 5432 ];
      description = "TCP ports that come in over `privateInterface`, besides those that the stack's own options need.";
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
            ++ lib.optional (networked != { }) config.services.postgresql.settings.port
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
