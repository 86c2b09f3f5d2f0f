# One domain for people: Prometheus and Alertmanager behind nginx with TLS and a password.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  nginx = import ../../nix/lib/nginx.nix { inherit contract; };
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  hardening = import ../../nix/lib/hardening.nix;
  patience = import ../../nix/lib/acme-patience.nix { inherit lib; };
  tls = import ../stack/proxy/tls.nix { inherit lib; };
  cfg = config.services.slipway.monitoring;
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isDomain;
  # Of another one, units with wrong names would come before the sentence of assertions.nix.
  active = cfg.enable && cfg.domain != null && isDomain cfg.domain;
  inherit (config.services.nginx) user group;
  fromAuthority = tls.isAcme cfg.tls;
  dnsProvider =
    if cfg.tls.dnsProvider == null then
      config.security.acme.defaults.dnsProvider
    else
      cfg.tls.dnsProvider;
  zone = "slipway-monitoring";

  # Where names that nobody serves would be answered by this domain: the stacks' proxy refuses them at its own addresses.
  addressesOf = asked: if asked == [ ] then config.services.nginx.defaultListenAddresses else asked;
  served = lib.filter (stack: stack.enable && stack.proxy.served != { }) (
    lib.attrValues (config.services.slipway.stacks or { })
  );
  unrefused = lib.subtractLists (lib.concatMap (
    stack: addressesOf stack.proxy.listenAddresses
  ) served) (addressesOf cfg.listenAddresses);

  # Both programs have no accounts of their own.
  behindPassword = address: {
    proxyPass = "${address}/";
    extraConfig = nginx.lines [
      "auth_basic monitoring;"
      "auth_basic_user_file ${cfg.passwordFile};"
      (nginx.passing { host = "$host"; })
      "proxy_set_header Authorization \"\";"
    ];
  };
in
{
  options.services.slipway.monitoring = {
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "monitoring.example.com";
      description = ''
        The name under which people reach Prometheus (`/prometheus/`) and Alertmanager (`/alertmanager/`), over HTTPS. Null:
        nobody does, except over SSH.
      '';
    };
    passwordFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/monitoring-passwords";
      description = ''
        A file outside the Nix store with a line per person, as `htpasswd -nB ann` writes it, readable by the group nginx. Who
        is in it sees all metrics and may silence alerts.
      '';
    };
    tls = tls.options;
    listenAddresses = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.1.0.30" ];
      description = "The addresses of this host where the domain answers, such as one of a VPN; none means all.";
    };
    url = mkOption {
      type = types.str;
      internal = true;
      readOnly = true;
      default =
        if cfg.domain == null then "http://${config.networking.hostName}" else "https://${cfg.domain}";
      description = "What links in messages begin with.";
    };
  };

  config = lib.mkIf active {
    services.nginx = {
      enable = true;
      enableReload = lib.mkDefault true;
      serverTokens = lib.mkDefault false;
      # Few people and their dashboards; who guesses passwords comes more often.
      commonHttpConfig = "limit_req_zone $binary_remote_addr zone=${zone}:1m rate=20r/s;";
      virtualHosts.${cfg.domain} = {
        listenAddresses = lib.mkIf (cfg.listenAddresses != [ ]) cfg.listenAddresses;
        forceSSL = true;
        enableACME = fromAuthority;
        inherit (cfg.tls) useACMEHost;
        acmeRoot = lib.mkIf (dnsProvider != null) null;
        sslCertificate = lib.mkIf (cfg.tls.certificate != null) cfg.tls.certificate;
        sslCertificateKey = lib.mkIf (cfg.tls.key != null) cfg.tls.key;
        extraConfig = nginx.lines (
          [
            nginx.tls
            "ssl_ciphers ${nginx.ciphers};"
            "add_header Strict-Transport-Security \"max-age=31536000\" always;"
            "add_header X-Content-Type-Options nosniff always;"
            "add_header X-Frame-Options SAMEORIGIN always;"
            "limit_req zone=${zone} burst=200 nodelay;"
            "limit_req_status 429;"
          ]
          ++ lib.optionals (cfg.tls.clientAuthority != null) [
            "ssl_client_certificate ${cfg.tls.clientAuthority};"
            "ssl_verify_client on;"
          ]
        );
        locations = {
          "/" = lib.mkDefault { return = "302 /prometheus/alerts"; };
          "/prometheus/" = behindPassword cfg.addresses.prometheus;
          "/alertmanager/" = behindPassword cfg.addresses.alertmanager;
          # Where alerts lead at night. It says nothing of these hosts.
          "= /runbooks.md" = {
            alias = ../../docs/runbooks.md;
            extraConfig = nginx.lines [
              "types { }"
              "default_type \"text/plain; charset=utf-8\";"
              "# Files of the Nix store all have the same date."
              "etag off;"
              "if_modified_since off;"
              "expires -1;"
            ];
          };
        };
      };
    };

    services.nginx.virtualHosts.slipway-monitoring-unknown =
      lib.mkIf (unrefused != [ ] && config.services.slipway.proxy.refuseUnknownNames or true)
        {
          serverName = "_";
          default = true;
          rejectSSL = true;
          listenAddresses = unrefused;
          locations."/".return = "444";
          extraConfig = "access_log off;";
        };

    security.acme.certs = lib.mkIf (fromAuthority && dnsProvider != null) {
      ${cfg.domain} = {
        dnsProvider = lib.mkDefault dnsProvider;
        environmentFile = lib.mkIf (cfg.tls.dnsCredentialsFile != null) (
          lib.mkDefault cfg.tls.dnsCredentialsFile
        );
      };
    };

    services.slipway.monitoring.runbooks = lib.mkDefault "${cfg.url}/runbooks.md";
    services.slipway.monitoring.secrets = [
      {
        option = "services.slipway.monitoring.passwordFile";
        path = cfg.passwordFile;
      }
    ];
    systemd.services = lib.mkMerge [
      (lib.mkIf fromAuthority (patience cfg.domain))
      {
        # nginx itself says it only once somebody asks.
        slipway-monitoring-password = {
          description = "Check that nginx can read the passwords of the monitoring";
          wantedBy = [ "multi-user.target" ];
          unitConfig.StartLimitIntervalSec = 0;
          serviceConfig = hardening { } // {
            Type = "oneshot";
            User = user;
            Group = group;
            ExecStart = pkgs.writeShellScript "slipway-monitoring-password" ''
              [ -r ${lib.escapeShellArg cfg.passwordFile} ] && exit
              echo "services.slipway.monitoring.passwordFile: the user ${user} cannot read ${cfg.passwordFile}; make it readable for the group ${group}" >&2
              exit 1
            '';
          };
        };
      }
    ];
  };
}
