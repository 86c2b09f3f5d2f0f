# What is before the services of a stack in compose and Kubernetes: nginx, a Gateway or an Ingress.
{
  lib,
  pkgs,
  standIn,
  ...
}:
let
  inherit (import ./renderings-tools.nix { inherit pkgs standIn; })
    kubernetes
    own
    shop
    inCompose
    inKubernetes
    composed
    called
    nginxInPod
    hooked
    changed
    ;
in
[
  {
    name = "an api waits behind every proxy for as long as a long poll lasts, and believes it about clients";
    got = {
      compose =
        lib.hasInfix "proxy_read_timeout 45s;"
          (inCompose { } own.compose.stack).files."nginx.conf";
      trusted = composed.objects.services.api.environment.API_TRUSTED_PROXIES;
      network = composed.objects.networks.backend.ipam.config;
      kubernetes =
        map (rule: rule.timeouts.request)
          (called "slipway-slipway-example-org"
            (kubernetes ({ inherit pkgs; } // own.kubernetes)).objects.routes
          ).spec.rules;
      annotations =
        lib.filterAttrs (key: _: lib.hasSuffix "-timeout" key)
          (lib.head
            (inKubernetes {
              gateway = null;
              ingress = {
                class = "nginx";
                namespace = "ingress-nginx";
              };
            } own.kubernetes.stack).objects.routes
          ).metadata.annotations;
    };
    want = {
      compose = true;
      trusted = "\${SHOP_BACKEND_SUBNET:-172.29.240.0/24}";
      network = [ { subnet = "\${SHOP_BACKEND_SUBNET:-172.29.240.0/24}"; } ];
      kubernetes = [ "125s" ];
      annotations = {
        "nginx.ingress.kubernetes.io/proxy-connect-timeout" = "2";
        "nginx.ingress.kubernetes.io/proxy-read-timeout" = "125";
      };
    };
  }
  {
    name = "a service of a domain hears that domain's name, also where the request line has another than Host";
    got = map (lib.hasInfix "Host $http_host;") [
      composed.files."nginx.conf"
      nginxInPod
    ];
    want = [
      false
      false
    ];
  }
  {
    name = "what is closed is closed for every way of writing a path, so nginx has that whole domain, and no other";
    got =
      map
        (
          stack:
          map (rule: (lib.head rule.backendRefs).name) (
            lib.filter (rule: rule ? backendRefs) (
              lib.concatMap (object: object.spec.rules or [ ]) (inKubernetes { } stack).objects.routes
            )
          )
        )
        [
          shop
          (hooked { })
          (changed { proxy.closedPaths = [ ]; })
          (changed {
            proxy.closedPaths = [ ];
            domains."hooks.example.com".routes."/old".redirect = "https://old.example.com/";
          })
        ];
    want = [
      [
        "shop-proxy"
        "shop-proxy"
        "shop-proxy"
        "shop-proxy"
      ]
      [ "shop-proxy" ]
      [ "shop-hooks" ]
      [
        "shop-hooks"
        "shop-proxy"
      ]
    ];
  }
  {
    name = "a Gateway sets the headers of nginx, and an Ingress leaves that to nginx";
    got =
      let
        stack = changed {
          proxy.closedPaths = [ ];
          domains."hooks.example.com".headers.X-Frame-Options = "DENY";
        };
        route =
          called "hooks-hooks-example-com"
            (kubernetes {
              inherit pkgs stack;
              name = "hooks";
              gateway.class = "shared";
            }).objects.routes;
        behind = inKubernetes {
          gateway = null;
          ingress = {
            class = "nginx";
            namespace = "ingress-nginx";
          };
        } stack;
      in
      {
        set =
          map (header: header.name)
            (lib.head (lib.head route.spec.rules).filters).responseHeaderModifier.set;
        ingress =
          map (path: path.backend.service.name)
            (lib.head (lib.head behind.objects.routes).spec.rules).http.paths;
      };
    want = {
      set = [
        "Strict-Transport-Security"
        "X-Content-Type-Options"
        "X-Frame-Options"
      ];
      ingress = [ "shop-proxy" ];
    };
  }
]
