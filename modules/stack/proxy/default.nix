# nginx before a stack's replicas: TLS, limits, and nothing that the api does not have to see.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  contract = import ../../../nix/contract.nix;
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  serverOf = import ./server.nix { inherit lib; };
  inherit (config.services.slipway) proxy;
  inherit (config.services.nginx) user group;

  # One without a name is refused (assertions.nix).
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.proxy.enable && stack.proxy.domain != null
  ) config.services.slipway.stacks;
  each = function: lib.mapAttrsToList (name: stack: function name stack.proxy) stacks;

  everywhere = [ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]";
  addressesOf = asked: if asked.listenAddresses == [ ] then everywhere else asked.listenAddresses;
  addresses = lib.unique (lib.concatLists (each (_: addressesOf)));
  quicAddresses = lib.unique (
    lib.concatLists (each (_: asked: lib.optionals asked.http3 (addressesOf asked)))
  );

  listenQuic =
    parameters: map (address: "listen ${address}:${toString contract.ports.https} quic${parameters};");
  # With several workers each needs its own UDP socket. nginx wants this option once per address: in the server for
  # unknown names, or in the first stack that listens there.
  speaker =
    address:
    lib.head (
      lib.attrNames (
        lib.filterAttrs (_: stack: stack.proxy.http3 && lib.elem address (addressesOf stack.proxy)) stacks
      )
    );
  quicOf =
    name: asked:
    lib.concatMap (
      address:
      listenQuic (lib.optionalString (!proxy.refuseUnknownNames && speaker address == name) " reuseport")
        [
          address
        ]
    ) (lib.optionals asked.http3 (addressesOf asked));

  server = name: asked: {
    serverName = asked.domain;
    serverAliases = asked.aliases;
    listenAddresses = addressesOf asked;
    forceSSL = true;
    # The method stays what it was.
    redirectCode = 308;
    enableACME = asked.tls.certificate == null;
    sslCertificate = lib.mkIf (asked.tls.certificate != null) asked.tls.certificate;
    sslCertificateKey = lib.mkIf (asked.tls.key != null) asked.tls.key;
    extraConfig = (serverOf name asked).server {
      listenQuic = quicOf name asked;
    };
    inherit (serverOf name asked) locations;
  };

  ping = name: asked: {
    serverName = "slipway-ping-${name}";
    listen = [
      {
        addr = "127.0.0.1";
        port = asked.pingPort;
        ssl = false;
      }
    ];
    locations = (serverOf name asked).ping;
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
  files = lib.concatLists (
    each (
      name: asked:
      lib.mapAttrsToList (option: path: "services.slipway.stacks.${name}.proxy.${option} ${path}") (
        lib.filterAttrs (_: path: path != null) {
          "tls.certificate" = asked.tls.certificate;
          "tls.key" = asked.tls.key;
          "tls.clientAuthority" = asked.tls.clientAuthority;
          "upstream.tls.authority" = asked.upstream.tls.authority;
          "upstream.tls.certificate" = asked.upstream.tls.certificate;
          "upstream.tls.key" = asked.upstream.tls.key;
        }
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
    ./limits.nix
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
      them without an answer. Switch it off on a host whose nginx has a default server of its own.
    '';
  };

  config = lib.mkIf (stacks != { }) {
    services.nginx = {
      enable = true;
      # A changed configuration is loaded without closing a socket; only another nginx is a restart.
      enableReload = true;
      serverTokens = lib.mkDefault false;
      eventsConfig = lib.mkDefault "worker_connections 16384;";
      commonHttpConfig = lib.mkMerge (each (name: asked: (serverOf name asked).http));
      virtualHosts = lib.mkMerge (
        each (
          name: asked: {
            ${asked.domain} = server name asked;
            "slipway-ping-${name}" = ping name asked;
          }
        )
        ++ lib.optional proxy.refuseUnknownNames { slipway-unknown = unknown; }
      );
      preStart = "${present}";
    };

    environment.etc."slipway/proxy-files".text = lib.concatLines files;
    systemd.services = {
      nginx = {
        serviceConfig = {
          LogsDirectory = [ "nginx/stacks" ];
          # As soon again as the replicas, and later from one failure to the next. NixOS waits 10 s each time.
          RestartSec = lib.mkForce "100ms";
          RestartSteps = 10;
          RestartMaxDelaySec = 15;
        };
        # A certificate that comes late is found then, and not after somebody has looked why nginx is down.
        startLimitIntervalSec = lib.mkForce 0;
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
