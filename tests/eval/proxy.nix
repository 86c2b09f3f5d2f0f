# The proxy: its assertions, and nginx's configuration.
{
  host,
  refused,
  saysAmong,
  stack,
  standIn,
  lib,
  ...
}:
let
  # A closed path in nginx' condition, with parameters in any part of it.
  shut = path: "${lib.replaceStrings [ "/" ] [ "(?:/?;[^/;]*)*/" ] path}(?:[/;]|$)";
  at = "services.slipway.stacks.shop.proxy";
  domain = "services.slipway.stacks.shop.domains.\"shop.example.com\"";
  proxy = options: [
    acme
    (stack {
      proxy = lib.mkMerge [
        { domain = lib.mkDefault "shop.example.com"; }
        options
      ];
    })
  ];
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  second = options: {
    services.slipway.stacks.post = lib.mkMerge [
      {
        services.api = {
          preset = "api";
          package = standIn "post";
          replicas = 0;
        };
        jobs.migrate.enable = false;
        metrics.firstPort = 9400;
        proxy = {
          domain = lib.mkDefault "post.example.com";
          upstream.servers = [ "unix:/run/post.sock" ];
        };
      }
      options
    ];
  };

  config = host (proxy { });
  vhost = config.services.nginx.virtualHosts."shop.example.com";
  has = text: lib.hasInfix text vhost.extraConfig;
  serverOf = config: name: config.services.nginx.virtualHosts.${name}.extraConfig;
  quick = host (proxy {
    http3 = true;
  });
  # All of what is nginx' own to say, as one text.
  nginxOf =
    modules:
    let
      inherit ((host modules).services) nginx;
    in
    lib.concatLines (
      [ nginx.appendConfig ] ++ lib.mapAttrsToList (_: server: server.extraConfig) nginx.virtualHosts
    );
  # What the server closes before any location.
  closedOf =
    config:
    lib.filter (lib.hasInfix "return 404") (
      lib.splitString "\n" config.services.nginx.virtualHosts."shop.example.com".extraConfig
    );
in
[
  {
    name = "a stack with a name to serve";
    got = refused (proxy { });
    want = [ ];
  }
  {
    name = "a stack without one has no nginx";
    got = (host [ (stack { }) ]).services.nginx.enable;
    want = false;
  }
  {
    name = "a changed configuration is loaded, not restarted for";
    got = [
      config.services.nginx.enableReload
      vhost.forceSSL
      vhost.enableACME
    ];
    want = [
      true
      true
      true
    ];
  }
  {
    name = "HTTP/3 where it is wanted, and nowhere else";
    got =
      map
        (
          text:
          map (part: lib.hasInfix part text) [
            "quic"
            "Alt-Svc"
          ]
        )
        [
          vhost.extraConfig
          (serverOf quick "shop.example.com")
        ];
    want = [
      [
        false
        false
      ]
      [
        true
        true
      ]
    ];
  }
  {
    name = "the firewall lets UDP through where HTTP/3 is wanted";
    got = [
      config.networking.firewall.allowedUDPPorts
      quick.networking.firewall.allowedUDPPorts
    ];
    want = [
      [ ]
      [ 443 ]
    ];
  }
  {
    name = "every address for HTTP/3 has one listener with reuseport, whoever has the other names";
    got =
      map
        (
          refuseUnknownNames:
          lib.count (lib.hasInfix "quic reuseport") (
            lib.splitString "\n" (
              nginxOf (
                proxy { http3 = true; }
                ++ [
                  (second {
                    proxy = {
                      http3 = true;
                      pingPort = 8082;
                    };
                  })
                  { services.slipway.proxy = { inherit refuseUnknownNames; }; }
                ]
              )
            )
          )
        )
        [
          true
          false
        ];
    want = [
      2
      2
    ];
  }
  {
    name = "the api's sockets are nginx's to connect to";
    got = config.systemd.sockets.shop-api-1.socketConfig.SocketGroup;
    want = "nginx";
  }
  {
    name = "metrics are closed";
    got = closedOf config;
    want = [ "if ($uri ~* \"^(?:${shut "/metrics"})\") { return 404; }" ];
  }
  {
    name = "a closed path below an open one is closed, and no long poll opens it again";
    got =
      let
        closed = host (proxy {
          closedPaths = [
            "/api/v1/monitoring/ready"
            "/api/v1/monitoring/internal/"
            "/api/v1/agent"
            "/wait"
          ];
          longPollPaths = [
            "/api/v1/agent/sync"
            "/wait"
          ];
        });
      in
      [
        (closedOf closed)
        (closed.services.nginx.virtualHosts."shop.example.com".locations ? "= /api/v1/agent/sync")
      ];
    want = [
      [
        "if ($uri ~* \"^(?:${
          lib.concatMapStringsSep "|" shut [
            "/api/v1/monitoring/ready"
            "/api/v1/monitoring/internal"
            "/api/v1/agent"
            "/wait"
          ]
        })\") { return 404; }"
      ]
      false
    ];
  }
  {
    name = "between hosts, a host without a live replica is passed over";
    got =
      let
        edge = host (proxy {
          upstream = {
            servers = [ "10.1.0.11:443" ];
            tls.authority = "/etc/ca.pem";
          };
        });
        ask = edge.services.nginx.virtualHosts;
      in
      map (lib.hasInfix "proxy_next_upstream error timeout http_502 http_503 http_504") [
        ask."shop.example.com".extraConfig
        ask."shop.example.com".locations."= /api/v1/agent/sync".extraConfig
        ask."shop.example.com".locations."= /api/v1/monitoring/ready".extraConfig
        ask.slipway-ping-shop.locations."^~ /api/v1/monitoring/".extraConfig
        ask.slipway-ping-shop.locations."= /api/v1/monitoring/ready".extraConfig
      ];
    want = [
      true
      true
      true
      true
      true
    ];
  }
  {
    name = "what the host says of nginx' processes wins, and nothing is said twice";
    got =
      let
        text = nginxOf (
          proxy { } ++ [ { services.nginx.appendConfig = "pcre_jit on;worker_processes 3;"; } ]
        );
        times = part: lib.length (lib.splitString part text) - 1;
      in
      map times [
        "worker_processes"
        "worker_processes 3;"
        "worker_rlimit_nofile"
        "worker_shutdown_timeout"
      ];
    want = [
      1
      1
      1
      1
    ];
  }
  {
    name = "an authority that is away fails no switch";
    got =
      let
        unit =
          if lib.versionAtLeast lib.trivial.release "25.11" then
            "acme-order-renew-shop.example.com"
          else
            "acme-shop.example.com";
      in
      config.systemd.services.${unit}.serviceConfig.SuccessExitStatus;
    want = [
      10
      11
    ];
  }
  {
    name = "nginx comes back as soon as the replicas do";
    got = config.systemd.services.nginx.serviceConfig.RestartSec;
    want = config.systemd.services.shop-api-1.serviceConfig.RestartSec;
  }
  {
    name = "access logs are kept by days, however many files a day makes";
    got = {
      inherit (config.services.logrotate.settings.slipway-shop) maxage rotate;
    };
    want = {
      maxage = 14;
      rotate = 14 * 24;
    };
  }
  {
    name = "a header is dropped with null and kept otherwise";
    got =
      let
        text =
          (host (proxy {
            headers = {
              X-Frame-Options = null;
              X-Team = "say \"hi\"";
            };
          })).services.nginx.virtualHosts."shop.example.com".extraConfig;
      in
      map (part: lib.hasInfix part text) [
        "X-Frame-Options"
        "add_header X-Team \"say \\\"hi\\\"\" always;"
        "nosniff"
      ];
    want = [
      false
      true
      true
    ];
  }
  {
    name = "only what is asked again safely is asked again";
    got = [
      (has "proxy_next_upstream error timeout;")
      (lib.hasInfix "non_idempotent" vhost.extraConfig)
      (lib.hasInfix "non_idempotent" vhost.locations."/".extraConfig)
      (lib.hasInfix "non_idempotent" vhost.locations."= /api/v1/agent/sync".extraConfig)
    ];
    want = [
      true
      false
      false
      true
    ];
  }
  (saysAmong "no name" [ "${at}.enable" "${at}.domain" ] (proxy {
    enable = true;
    domain = null;
  }))
  (saysAmong "a certificate without its key" [ "${at}.tls.certificate" "${at}.tls.key" "both" ]
    (proxy {
      tls.certificate = "/run/secrets/certificate";
    })
  )
  (saysAmong "nothing behind it"
    [ "${at}.upstream.servers" "api.replicas" ]
    [
      acme
      (stack {
        services.api.replicas = 0;
        proxy.domain = "shop.example.com";
      })
    ]
  )
  (saysAmong "sockets and hosts at once" [ "${at}.upstream.servers" "only one kind" ] (proxy {
    upstream = {
      servers = [
        "unix:/run/x.sock"
        "10.1.0.11:443"
      ];
      tls = {
        name = "app.internal";
        authority = "/etc/ca.pem";
      };
    };
  }))
  (saysAmong "hosts that nobody verifies" [ "${at}.upstream.tls.authority" ] (proxy {
    upstream.servers = [ "10.1.0.11:443" ];
  }))
  (saysAmong "a client certificate without its key" [ "${at}.upstream.tls.key" ] (proxy {
    upstream.tls.certificate = "/etc/edge.pem";
  }))
  (saysAmong "a path without a slash"
    [
      domain
      "closedPaths"
      "internal"
    ]
    (proxy {
      closedPaths = [ "internal" ];
    })
  )
  (saysAmong "the health path closed"
    [
      domain
      "closedPaths"
      "/api/v1"
    ]
    (proxy {
      closedPaths = [ "/api/v1" ];
    })
  )
  (saysAmong "long polls cut"
    [
      domain
      "timeouts.longPollSeconds"
      "30 s"
    ]
    (proxy {
      timeouts.longPollSeconds = 20;
    })
  )
  (saysAmong "two local listeners on one port" [
    "stacks.post.proxy.pingPort (8081)"
    "stacks.shop.proxy.pingPort (8081)"
  ] (proxy { } ++ [ (second { }) ]))
  (saysAmong "a local listener on the agent's port"
    [
      "${at}.pingPort (9102)"
      "services.slipway.agent.metricsPort (9102)"
    ]
    (
      proxy { pingPort = 9102; }
      ++ [
        {
          services.slipway.agent = {
            enable = true;
            apiUrl = "https://deploy.example.com";
            tokenFile = "/run/agenix/token";
          };
        }
      ]
    )
  )
  (saysAmong "one name twice" [ "shop.example.com is served by" ] (
    proxy { }
    ++ [
      (second {
        proxy = {
          domain = "shop.example.com";
          pingPort = 8082;
        };
      })
    ]
  ))
  {
    name = "nginx is started again for as long as it takes";
    got = (host (proxy { })).systemd.services.nginx.startLimitIntervalSec;
    want = 0;
  }
  {
    name = "logrotate looks for the logs once nginx has its folder";
    got = (host (proxy { })).systemd.services.logrotate-checkconf.after;
    want = [ "nginx.service" ];
  }
]
