# Domains and routes: what nginx is told of them. routes-certificates.nix has their certificates, routes-refused.nix what
# cannot be meant.
{
  host,
  refused,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./routes-tools.nix { inherit standIn lib; }) acme shop served;
  # One domain whose routes lead to a service without a preset, and more.
  routed = routes: [
    acme
    (shop { domains."shop.example.com".routes = routes; })
  ];
  vhostOf = modules: (host modules).services.nginx.virtualHosts."shop.example.com";
  locationsOf = modules: lib.mapAttrs (_: location: location.extraConfig) (vhostOf modules).locations;
  api = options: {
    services.slipway.stacks.shop = lib.mkMerge [
      {
        services.api = {
          preset = "api";
          package = standIn "shop";
        };
      }
      options
    ];
  };

  everything = locationsOf (routed {
    "/".static = ./site;
    "/app" = {
      static = ./site;
      fallback = "/index.html";
      immutablePaths = [ "/assets/" ];
    };
    "/web" = {
      service = "web";
      stripPrefix = true;
      stream = true;
      bodyMiB = 64;
    };
    "/only" = {
      service = "web";
      exact = true;
      readSeconds = 7;
    };
    "/old".redirect = "https://new.example.com/shop/";
    "/shut".closed = true;
  });
  has = location: parts: map (part: lib.hasInfix part (everything.${location} or "not there")) parts;

  # One domain, whose server and locations these are.
  alone =
    domain:
    vhostOf (served [
      (shop { domains."shop.example.com" = domain; })
    ]);
in
[
  {
    name = "what is closed stays closed behind a prefix that is taken off, but for a route of its own";
    got =
      let
        inherit
          (alone {
            closedPaths = [
              "/metrics"
              "/debug"
            ];
            routes = {
              "/web" = {
                service = "web";
                stripPrefix = true;
              };
              "/web/debug".service = "web";
              "/whole".service = "web";
            };
          })
          extraConfig
          ;
      in
      lib.findFirst (lib.hasInfix "if ($uri") null (lib.splitString "\n" extraConfig);
    want = ''if ($uri ~* "^(?:(?:/?;[^/;]*)*/metrics(?:[/;]|$)|(?:/?;[^/;]*)*/debug(?:[/;]|$)|(?:/?;[^/;]*)*/web(?:/?;[^/;]*)*/metrics(?:[/;]|$))") { return 404; }'';
  }
  {
    name = "a route at the path of long polls is one of them, unless it says how long it waits";
    got =
      let
        inherit
          (alone {
            longPollPaths = [
              "/wait"
              "/upload/wait"
              "/stream"
            ];
            routes = {
              "/wait".service = "web";
              "/upload" = {
                service = "web";
                bodyMiB = 64;
              };
              "/stream" = {
                service = "web";
                stream = true;
              };
            };
          })
          locations
          ;
        of = path: part: lib.hasInfix part locations."= ${path}".extraConfig;
      in
      {
        waits = map (path: of path "long-poll") [
          "/wait"
          "/upload/wait"
          "/stream"
        ];
        body = of "/upload/wait" "client_max_body_size 64m;";
      };
    want = {
      waits = [
        true
        true
        false
      ];
      body = true;
    };
  }
  {
    name = "a stack without an api, database and cache is served, and has nothing to ping";
    got =
      let
        config = host (served [ ]);
      in
      {
        refused = refused (served [ ]);
        hosts = lib.attrNames config.services.nginx.virtualHosts;
        inherit (builtins.fromJSON config.environment.etc."slipway/stacks/shop.json".text)
          domains
          ;
      };
    want = {
      refused = [ ];
      hosts = [
        "shop.example.com"
        "slipway-unknown"
      ];
      domains = [ "https://shop.example.com" ];
    };
  }
  {
    name = "proxy.domain is a domain whose / leads to the api";
    got =
      locationsOf [
        acme
        (api { proxy.domain = "shop.example.com"; })
      ] == locationsOf [
        acme
        (api { domains."shop.example.com".routes."/".service = "api"; })
      ];
    want = true;
  }
  {
    name = "each route has its locations, and what no route fits is not there";
    got = lib.filter (name: !lib.hasPrefix "@" name) (lib.attrNames everything);
    want = [
      "/"
      "= /app"
      "= /old"
      "= /only"
      "= /shut"
      "= /web"
      "^~ /app/"
      "^~ /app/assets/"
      "^~ /old/"
      "^~ /shut/"
      "^~ /web/"
    ];
  }
  {
    name = "without a route for / there is a 404, and not nginx' own page";
    got =
      (locationsOf (routed {
        "/web".service = "web";
      }))."/";
    want = "return 404;";
  }
  {
    name = "the paths of the contract have locations where an api answers them, and only there";
    got =
      map
        (
          routes:
          lib.filter (lib.hasInfix "/api/v1") (
            lib.attrNames (locationsOf [
              acme
              (api {
                services.web = {
                  package = standIn "shop";
                  listen.port = 3000;
                };
                domains."shop.example.com" = { inherit routes; };
              })
            ])
          )
        )
        [
          {
            "/".static = ./site;
            "/api".service = "api";
          }
          {
            "/".service = "web";
            "/other".service = "api";
          }
          {
            "/api" = {
              service = "api";
              stripPrefix = true;
            };
          }
        ];
    want = [
      [
        "= /api/v1/agent/sync"
        "= /api/v1/monitoring/ready"
        "^~ /api/v1/monitoring/"
      ]
      [ ]
      [ ]
    ];
  }
  {
    name = "a stripped prefix, a stream, a body and a wait of one route";
    got =
      has "^~ /web/" [
        "proxy_pass http://slipway-shop.web/;"
        "X-Forwarded-Prefix \"/web\""
        "Connection $slipway_connection"
        "Host $host"
        "proxy_buffering off;"
        "proxy_read_timeout 3600s;"
        "client_max_body_size 64m;"
      ]
      ++ has "= /only" [
        "proxy_pass http://slipway-shop.web;"
        "proxy_read_timeout 7s;"
      ];
    want = lib.genList (_: true) 9;
  }
  {
    name = "files of one folder for a year, and never another file in their place";
    got =
      has "^~ /app/assets/" [
        "immutable"
        "return 404; }\nif ($http_if_none_match"
      ]
      ++ has "^~ /app/" [
        "no-cache"
        "try_files $uri index.html =404;"
        "immutable"
      ];
    want = [
      true
      true
      true
      true
      false
    ];
  }
  {
    name = "another fallback is another answer";
    got =
      let
        tag =
          fallback:
          lib.head (
            builtins.match ".*ETag 'W/\"([0-9a-f]+)\"'.*"
              (locationsOf (routed {
                "/" = {
                  static = ./site;
                  inherit fallback;
                };
              }))."/"
          );
      in
      tag "/index.html" != tag null;
    want = true;
  }
  {
    name = "headers for an api where all is an api's, and what the stack says over them";
    got =
      map
        (
          options:
          lib.sort lib.lessThan (
            lib.attrNames
              (host [
                acme
                (api options)
              ]).services.slipway.stacks.shop.domains."shop.example.com".headers
          )
        )
        [
          { proxy.domain = "shop.example.com"; }
          {
            proxy.domain = "shop.example.com";
            domains."shop.example.com".routes."/docs".static = ./site;
            proxy.headers.X-Team = "shop";
          }
        ];
    want = [
      [
        "Content-Security-Policy"
        "Referrer-Policy"
        "X-Content-Type-Options"
        "X-Frame-Options"
      ]
      [
        "X-Content-Type-Options"
        "X-Team"
      ]
    ];
  }
  {
    name = "a domain has the stack's limits or its own, and its own zone where the rate differs";
    got =
      let
        config = host [
          acme
          (shop {
            proxy.limits.bodyMiB = 9;
            domains = lib.genAttrs [ "one.example.com" "two.example.com" ] (name: {
              routes."/".service = "web";
              limits = lib.mkIf (name == "two.example.com") {
                requests.perSecond = 7;
                bodyMiB = 3;
              };
            });
          })
        ];
        inherit (config.services) nginx;
        lines =
          name:
          lib.filter (line: lib.hasInfix "client_max" line || lib.hasInfix "limit_req zone" line) (
            lib.splitString "\n" (
              nginx.virtualHosts.${name}.locations."/".extraConfig + "\n" + nginx.virtualHosts.${name}.extraConfig
            )
          );
      in
      [
        (lines "one.example.com")
        (lines "two.example.com")
        (lib.hasInfix "zone=slipway-requests@two.example.com:10m rate=7r/s;" nginx.commonHttpConfig)
      ];
    want = [
      [
        "limit_req zone=slipway-shop-requests burst=200 nodelay;"
        "client_max_body_size 9m;"
      ]
      [
        "limit_req zone=slipway-requests@two.example.com burst=200 nodelay;"
        "client_max_body_size 3m;"
      ]
      true
    ];
  }
  {
    name = "other hosts have all services behind one address, and their proxies take prefixes off";
    got =
      let
        vhost = vhostOf (
          routed {
            "/".service = "web";
            "/admin" = {
              service = "admin";
              stripPrefix = true;
            };
          }
          ++ [
            (shop {
              services.web.replicas = 0;
              services.admin = {
                package = standIn "shop";
                listen.port = 3100;
                replicas = 0;
              };
              proxy.upstream = {
                servers = [ "10.1.0.11:443" ];
                tls.authority = "/etc/ca.pem";
              };
            })
          ]
        );
      in
      map (path: lib.take 2 (lib.splitString "\n" vhost.locations.${path}.extraConfig)) [
        "/"
        "^~ /admin/"
      ]
      ++ [ (lib.hasInfix "proxy_ssl_name shop.example.com;" vhost.extraConfig) ];
    want = [
      [
        "set $slipway_route /;"
        "proxy_pass https://slipway-shop;"
      ]
      [
        "set $slipway_route /admin;"
        "proxy_pass https://slipway-shop;"
      ]
      true
    ];
  }
  {
    name = "an api that listens at a port is on this host, and its stand-in is asked while it restarts";
    got =
      let
        config = host [
          acme
          (api {
            services.api.listen.type = "tcp";
            services.api.replicas = 1;
            proxy.domain = "shop.example.com";
          })
        ];
      in
      [
        config.services.nginx.virtualHosts."shop.example.com".locations."/".extraConfig
        (lib.count (lib.hasSuffix " backup;") (lib.splitString "\n" config.services.nginx.commonHttpConfig))
      ];
    want = [
      "set $slipway_route /;\nproxy_pass http://slipway-shop;\nlimit_req zone=slipway-shop-requests burst=200 nodelay;"
      1
    ];
  }
  {
    name = "the host's own addresses for nginx are those of stacks";
    got =
      (vhostOf (served [ { services.nginx.defaultListenAddresses = [ "192.0.2.7" ]; } ])).listenAddresses;
    want = [ "192.0.2.7" ];
  }
  {
    name = "other servers of the host's nginx are left as they are";
    got = refused (served [
      {
        services.nginx = {
          virtualHosts."blog.example.com".root = "/srv/blog";
          upstreams.blog.servers."127.0.0.1:9000" = { };
        };
      }
    ]);
    want = [ ];
  }
]
