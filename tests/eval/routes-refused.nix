# Domains and routes that cannot be meant: each with the option and the cure.
{
  host,
  refused,
  says,
  standIn,
  lib,
  ...
}:
let
  domain = "services.slipway.stacks.shop.domains.\"shop.example.com\"";
  inherit (import ./routes-tools.nix { inherit standIn lib; }) acme shop served;
  # What the description finds by itself, without a host around it.
  described =
    name: words: domain:
    let
      inherit
        (lib.evalModules {
          modules = (import ../../nix/stack).modules ++ [
            {
              _module.args.name = "shop";
              services.web.listen.port = 3000;
              domains."shop.example.com" = domain;
            }
          ];
        })
        config
        ;
      messages = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
    in
    {
      inherit name;
      got =
        if lib.length messages == 1 && lib.all (word: lib.hasInfix word (lib.head messages)) words then
          "refused"
        else
          messages;
      want = "refused";
    };
in
map
  (
    {
      name,
      words,
      routes,
    }:
    described name ([ "domains.\"shop.example.com\"" ] ++ words) { inherit routes; }
  )
  [
    {
      name = "no routes";
      words = [ "has no routes" ];
      routes = { };
    }
    {
      name = "a path without a slash";
      words = [
        "routes.\"web\""
        "a / first"
      ];
      routes."web".service = "web";
    }
    {
      name = "a path that no request has";
      words = [ "routes.\"/a/../b\"" ];
      routes."/a/../b".service = "web";
    }
    {
      name = "a path with a slash at its end";
      words = [
        "routes.\"/web/\""
        "leave the /"
      ];
      routes."/web/".service = "web";
    }
    {
      name = "a route to two things";
      words = [ "must lead to one thing" ];
      routes."/" = {
        service = "web";
        closed = true;
      };
    }
    {
      name = "a route to nothing";
      words = [ "must lead to one thing" ];
      routes."/" = { };
    }
    {
      name = "a service that is not there";
      words = [
        "service is wbe"
        "is web meant?"
      ];
      routes."/".service = "wbe";
    }
    {
      name = "settings of a service for a redirect";
      words = [ "are for services" ];
      routes."/" = {
        redirect = "https://other.example.com/";
        stripPrefix = true;
      };
    }
    {
      name = "settings of files for a service";
      words = [ "are for static files" ];
      routes."/" = {
        service = "web";
        fallback = "/index.html";
      };
    }
    {
      name = "a file that is not below the package's folder";
      words = [
        "without `.`, `..`"
        "/../index.html"
      ];
      routes."/" = {
        static = ./site;
        fallback = "/../index.html";
        immutablePaths = [ "/./assets" ];
      };
    }
    {
      name = "a redirect to a host with an empty part";
      words = [ "redirect is https://shop..example.com/" ];
      routes."/".redirect = "https://shop..example.com/";
    }
    {
      name = "files at one path";
      words = [ "leave exact out" ];
      routes."/docs" = {
        static = ./site;
        exact = true;
      };
    }
    {
      name = "files outside the store";
      words = [
        "static is /srv/site"
        "not in the Nix store"
      ];
      routes."/".static = "/srv/site";
    }
    {
      name = "a redirect that is no address";
      words = [ "redirect is https://evil example" ];
      routes."/".redirect = "https://evil example";
    }
    {
      name = "a redirect to another host without a scheme";
      words = [ "redirect is //evil.example" ];
      routes."/".redirect = "//evil.example/";
    }
    {
      name = "a redirect to itself";
      words = [ "leads to itself" ];
      routes."/".redirect = "https://shop.example.com/new";
    }
    {
      name = "a route below a closed path";
      words = [
        "/metrics of closedPaths"
        "never answer"
      ];
      routes = {
        "/".service = "web";
        "/metrics/public".service = "web";
      };
    }
  ]
++ [
  (says "a service that listens nowhere"
    [ domain "listens nowhere" "services.batch.listen" ]
    [
      acme
      (shop {
        services.batch.package = standIn "shop";
        domains."shop.example.com".routes."/".service = "batch";
      })
    ]
  )
  (says "a service without a replica" [ domain "routes.\"/\"" "raise its replicas" ] (served [
    (shop { services.web.replicas = 0; })
  ]))
  (says "a domain in upper case"
    [ "Shop.example.com" "lower-case" ]
    [
      acme
      (shop { domains."Shop.example.com".routes."/".service = "web"; })
    ]
  )
  (says "a domain with an empty part"
    [ "domains.\"shop..example.com\" is not a domain name" "single dots" ]
    [
      acme
      (shop { domains."shop..example.com".routes."/".service = "web"; })
    ]
  )
  (says "a domain with a scheme"
    [ "domains.\"https://example.com/\"" "leave out https://" ]
    [
      acme
      (shop { domains."https://example.com/".routes."/".service = "web"; })
    ]
  )
  (says "an address to listen on that is none" [ "proxy.listenAddresses has 10.1.0.300" ] (served [
    (shop { proxy.listenAddresses = [ "10.1.0.300" ]; })
  ]))
  (described "an alias that is none" [ ".aliases" "leave out https://" ] {
    aliases = [ "https://www" ];
    routes."/".service = "web";
  })
  (described "an alias twice" [ ".aliases" "twice" ] {
    aliases = [ "shop.example.com" ];
    routes."/".service = "web";
  })
  (says "an alias of two domains" [ "www.example.com is a name of" ] (served [
    (shop {
      domains = lib.genAttrs [ "shop.example.com" "post.example.com" ] (_: {
        routes."/".service = "web";
        aliases = [ "www.example.com" ];
      });
    })
  ]))
  (says "any name without DNS" [ "${domain}.aliases" "${domain}.tls.dnsProvider" ] (served [
    (shop { domains."shop.example.com".aliases = [ "*.shop.example.com" ]; })
  ]))
  (says "two sources of a certificate" [ "${domain}.tls.useACMEHost" "${domain}.tls.dnsProvider" ]
    (served [
      (shop {
        domains."shop.example.com".tls = {
          useACMEHost = "example.com";
          dnsProvider = "hetzner";
        };
      })
      {
        security.acme.certs."example.com" = {
          dnsProvider = "hetzner";
          group = "nginx";
        };
      }
    ])
  )
  (says "a domain's certificate without its key" [
    "${domain}.tls.certificate"
    "${domain}.tls.key"
  ] (served [ (shop { domains."shop.example.com".tls.certificate = "/run/secrets/certificate"; }) ]))
  (says "a short form without an api"
    [ domain "has no routes" "preset api" ]
    [
      acme
      (shop { proxy.domain = "shop.example.com"; })
    ]
  )
  (described "headers that would be two, or none"
    [
      ''.headers or proxy.headers has "X Frame", "X-Two"''
      "a value is one line"
    ]
    {
      routes."/".service = "web";
      headers = {
        "X Frame" = "DENY";
        X-Two = "a\nSet-Cookie: b";
        X-Three = "größer";
      };
    }
  )
  (described "a header in two ways" [ ".headers or proxy.headers has" "X-Frame and x-frame" ] {
    routes."/".service = "web";
    headers = {
      X-Frame = "a";
      x-frame = "b";
    };
  })
  {
    name = "a build looks for the files of routes";
    got = lib.filter (lib.hasPrefix "there ") (
      lib.splitString "\n" (
        import ../../nix/lib/static-check.nix { inherit lib; } "stacks.shop."
          (host (served [
            (shop {
              domains."shop.example.com".routes."/docs" = {
                static = standIn "site";
                fallback = "/index.htm";
                immutablePaths = [ "/assets" ];
              };
            })
          ])).services.slipway.stacks.shop.domains
      )
    );
    want =
      map
        (
          {
            kind,
            what,
            part,
          }:
          "there ${kind} 'stacks.shop.domains.\"shop.example.com\".routes.\"/docs\".${what}' ${standIn "site"}${part}"
        )
        [
          {
            kind = "-d";
            what = "static";
            part = "";
          }
          {
            kind = "-f";
            what = "fallback";
            part = "/index.htm";
          }
          {
            kind = "-d";
            what = "immutablePaths";
            part = "/assets";
          }
        ];
  }
  (says "a name of another server" [ "virtualHosts.\"blog\"" "both serve shop.example.com" ] (served [
    { services.nginx.virtualHosts.blog.serverAliases = [ "shop.example.com" ]; }
  ]))
  (says "an upstream of the same name" [ "services.nginx.upstreams.\"slipway-shop.web\"" ] (served [
    { services.nginx.upstreams."slipway-shop.web".servers."127.0.0.1:9000" = { }; }
  ]))
  (says "two servers for unknown names" [
    "virtualHosts.\"blog\".default"
    "refuseUnknownNames"
  ] (served [ { services.nginx.virtualHosts.blog.default = true; } ]))
  {
    name = "a default server of the host's own, instead of ours";
    got = refused (served [
      {
        services.nginx.virtualHosts.blog.default = true;
        services.slipway.proxy.refuseUnknownNames = false;
      }
    ]);
    want = [ ];
  }
]
