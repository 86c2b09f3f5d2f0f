# The proxy: what it refuses, and what nginx gets.
{
  host,
  refused,
  stack,
  lib,
  ...
}:
let
  at = "services.slipway.stacks.shop.proxy";
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
        api.replicas = 0;
        worker.replicas = 0;
        migrations.enable = false;
        metrics.firstPort = 9400;
        proxy = {
          domain = lib.mkDefault "post.example.com";
          upstream.servers = [ "unix:/run/post.sock" ];
        };
      }
      options
    ];
  };
  says = name: words: modules: {
    inherit name;
    got =
      let
        messages = refused modules;
      in
      if lib.any (message: lib.all (word: lib.hasInfix word message) words) messages then
        "refused"
      else
        messages;
    want = "refused";
  };

  config = host (proxy { });
  vhost = config.services.nginx.virtualHosts."shop.example.com";
  has = text: lib.hasInfix text vhost.extraConfig;
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
    name = "HTTP/3 where it is wanted";
    got = [
      (has "quic;")
      (has "Alt-Svc")
      (lib.hasInfix "quic"
        (host (proxy {
          http3 = false;
        })).services.nginx.virtualHosts."shop.example.com".extraConfig
      )
      config.networking.firewall.allowedUDPPorts
    ];
    want = [
      true
      true
      false
      [ 443 ]
    ];
  }
  {
    name = "the api's sockets are nginx's to connect to";
    got = config.systemd.sockets.shop-api-1.socketConfig.SocketGroup;
    want = "nginx";
  }
  {
    name = "metrics are closed";
    got = vhost.locations."~ ^/metrics(/|$)".return;
    want = "404";
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
  (says "no name" [ "${at}.enable" "${at}.domain" ] (proxy {
    enable = true;
    domain = null;
  }))
  (says "a certificate without its key" [ "${at}.tls.certificate" "${at}.tls.key" "both" ] (proxy {
    tls.certificate = "/run/secrets/certificate";
  }))
  (says "nothing behind it"
    [ "${at}.upstream.servers" "api.replicas" ]
    [
      acme
      (stack {
        api.replicas = 0;
        proxy.domain = "shop.example.com";
      })
    ]
  )
  (says "sockets and hosts at once" [ "${at}.upstream.servers" "only one kind" ] (proxy {
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
  (says "hosts that nobody verifies" [ "${at}.upstream.tls.authority" ] (proxy {
    upstream.servers = [ "10.1.0.11:443" ];
  }))
  (says "a client certificate without its key" [ "${at}.upstream.tls.key" ] (proxy {
    upstream.tls.certificate = "/etc/edge.pem";
  }))
  (says "a path without a slash" [ "${at}.closedPaths" "internal" ] (proxy {
    closedPaths = [ "internal" ];
  }))
  (says "the health path closed" [ "${at}.closedPaths" "/api/v1" ] (proxy {
    closedPaths = [ "/api/v1" ];
  }))
  (says "long polls cut" [ "${at}.timeouts.longPollSeconds" "30 s" ] (proxy {
    timeouts.longPollSeconds = 20;
  }))
  (says "two local listeners on one port" [ "proxy.pingPort 8081" "post and shop" ] (
    proxy { } ++ [ (second { }) ]
  ))
  (says "one name twice" [ "shop.example.com is served by" ] (
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
