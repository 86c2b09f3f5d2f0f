# nginx before a stack's services: TLS, routes, limits, and nothing that services do not have to see.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  contract = import ../../../nix/contract.nix;
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  routes = import ../../../nix/lib/routes.nix { inherit lib contract; };
  serverOf = import ./server.nix { inherit lib; };
  inherit (config.services.slipway) proxy;
  inherit (config.services.nginx) user group;

  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.proxy.served != { }
  ) config.services.slipway.stacks;
  each = function: lib.mapAttrsToList (name: stack: function name stack.proxy) stacks;
  eachDomain =
    function:
    lib.concatLists (
      lib.mapAttrsToList (name: stack: lib.mapAttrsToList (function name stack) stack.proxy.served) stacks
    );

  addressesOf =
    asked:
    if asked.listenAddresses == [ ] then
      config.services.nginx.defaultListenAddresses
    else
      asked.listenAddresses;
  addresses = lib.unique (lib.concatLists (each (_: addressesOf)));
  quicAddresses = lib.unique (
    lib.concatLists (each (_: asked: lib.optionals asked.http3 (addressesOf asked)))
  );

  listenQuic =
    parameters: map (address: "listen ${address}:${toString contract.ports.https} quic${parameters};");
  # With several workers each needs its own UDP socket. nginx wants this option once per address: in the server for
  # unknown names, or in the first that listens there.
  speaker =
    address:
    lib.head (
      lib.concatLists (
        eachDomain (
          _: stack: domain: _:
          lib.optional (stack.proxy.http3 && lib.elem address (addressesOf stack.proxy)) domain
        )
      )
    );
  quicOf =
    domain: asked:
    lib.concatMap (
      address:
      listenQuic (lib.optionalString (
        !proxy.refuseUnknownNames && speaker address == domain
      ) " reuseport") [ address ]
    ) (lib.optionals asked.http3 (addressesOf asked));

  server =
    name: stack: domainName: domain:
    let
      text = serverOf name stack;
      tls = domain.tls.inUse;
    in
    {
      serverName = domainName;
      serverAliases = domain.aliases;
      listenAddresses = addressesOf stack.proxy;
      forceSSL = true;
      # The method stays what it was.
      redirectCode = 308;
      enableACME = tls.isAcme;
      inherit (tls) useACMEHost;
      acmeRoot = lib.mkIf (tls.dnsProvider != null) null;
      sslCertificate = lib.mkIf (tls.certificate != null) tls.certificate;
      sslCertificateKey = lib.mkIf (tls.key != null) tls.key;
      extraConfig = text.server domainName domain {
        listenQuic = quicOf domainName stack.proxy;
      };
      locations = lib.mapAttrs (_: extraConfig: { inherit extraConfig; }) (
        text.locations domainName domain
      );
    };

  ping = name: stack: {
    serverName = "slipway-ping-${name}";
    listen = [
      {
        addr = "127.0.0.1";
        port = stack.proxy.pingPort;
        ssl = false;
      }
    ];
    locations = (serverOf name stack).ping;
    extraConfig = "access_log off;";
  };

  # Names that nobody serves get no certificate and no answer.
  unknown = {
    serverName = "_";
    default = true;
    rejectSSL = true;
    listenAddresses = addresses;
    locations."/".return = "444";
    extraConfig = nginx.lines (
      listenQuic " reuseport default_server" quicAddresses ++ [ "access_log off;" ]
    );
  };

  # In a file of its own: as a part of nginx' unit another path would restart nginx, where a reload is enough.
  filesOf =
    option: tls:
    lib.mapAttrsToList (what: path: "${option}.${what} ${path}") (
      lib.filterAttrs (_: path: path != null) tls
    );
  files = lib.concatLists (
    each (
      name: asked:
      filesOf "services.slipway.stacks.${name}.proxy.upstream.tls" {
        inherit (asked.upstream.tls) authority certificate key;
      }
    )
    ++ eachDomain (
      name: _: domainName: domain:
      filesOf "services.slipway.stacks.${name}.domains.${domainName}.tls" {
        inherit (domain.tls.inUse) certificate key clientAuthority;
      }
    )
  );
  streams = lib.elem true (
    lib.concatLists (
      eachDomain (
        _: _: _: domain:
        map (route: route.stream) (lib.attrValues domain.routes)
      )
    )
  );
  present = pkgs.writeShellScript "slipway-proxy-files" ''
    missing=
    while read -r option path; do
      [ -r "$path" ] && continue
      echo "$option: the user ${user} cannot read $path; put the file there, readable by the group ${group}" >&2
      missing=1
    done < /etc/slipway/proxy-files
    [ -z "$missing" ]
  '';
in
{
  imports = [
    ./options.nix
    ./upstream.nix
    ./assertions.nix
    ./check.nix
    ./processes.nix
    ./certificates.nix
  ];

  options.services.slipway.proxy.refuseUnknownNames = lib.mkOption {
    type = lib.types.bool;
    default = true;
    example = false;
    description = ''
      Whether nginx refuses TLS handshakes for names that no server of this host has, and closes plain connections for
      them without an answer. Switch it off on a host whose nginx has a default server of its own
      (`services.nginx.virtualHosts.<name>.default`): then that one answers.
    '';
  };

  config = lib.mkIf (stacks != { }) {
    services.nginx = {
      enable = true;
      # A changed configuration is loaded without closing a socket; only another nginx is a restart.
      enableReload = lib.mkDefault true;
      serverTokens = lib.mkDefault false;
      eventsConfig = lib.mkDefault "worker_connections 16384;";
      commonHttpConfig = lib.mkMerge (
        lib.mapAttrsToList (name: stack: (serverOf name stack).http) stacks
        ++ lib.optional streams routes.http
      );
      virtualHosts = lib.mkMerge (
        eachDomain (
          name: stack: domainName: domain: { ${domainName} = server name stack domainName domain; }
        )
        ++ lib.mapAttrsToList (
          name: stack: lib.mkIf stack.proxy.ping { "slipway-ping-${name}" = ping name stack; }
        ) stacks
        ++ lib.optional proxy.refuseUnknownNames { slipway-unknown = unknown; }
      );
      preStart = "${present}";
    };

    environment.etc."slipway/proxy-files".text = lib.concatLines files;
    systemd.services = {
      nginx = {
        serviceConfig = {
          LogsDirectory = [ "nginx/stacks" ];
          # As soon again as the replicas, and later from one failure to the next. NixOS sets 10 s itself, so this must be
          # over a plain value; a host's mkForce is over this.
          RestartSec = lib.mkOverride 90 "100ms";
          RestartSteps = 10;
          RestartMaxDelaySec = 15;
        };
        # A certificate that comes late is found then, and not after somebody has looked why nginx is down.
        # Over NixOS' own plain value as well.
        startLimitIntervalSec = lib.mkOverride 90 0;
      };
      # It looks for the logs as nginx' user, and fails while systemd is about to give that user the folder.
      logrotate-checkconf = lib.mkIf config.services.logrotate.enable { after = [ "nginx.service" ]; };
    };
    services.logrotate.settings = lib.mkMerge (
      each (
        name: asked:
        lib.optionalAttrs asked.accessLog.enable {
          "slipway-${name}" = {
            files = [ "/var/log/nginx/stacks/${name}.json" ];
            frequency = "daily";
            maxsize = "1G";
            # The days count, not the files: with `maxsize` there may be one for every run of the timer, which is hourly.
            rotate = 24 * asked.accessLog.days;
            maxage = asked.accessLog.days;
            su = "${user} ${group}";
            missingok = true;
            notifempty = true;
            compress = true;
            delaycompress = true;
            postrotate = "[ ! -f /run/nginx/nginx.pid ] || kill -USR1 \"$(cat /run/nginx/nginx.pid)\"";
          };
        }
      )
    );
  };
}
