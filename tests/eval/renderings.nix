# One stack under NixOS, compose and Kubernetes: the same ports, health paths, limits, secrets, variables and routes. What a
# rendering cannot do is refused. deploy/ is what is rendered.
{
  host,
  lib,
  nixosModules,
  pkgs,
  standIn,
  ...
}:
let
  inherit (import ../../nix/containers) compose kubernetes;
  own = import ../../nix/containers/slipway.nix;
  pages = import ./pages.nix { inherit lib; };

  # Two services, a site, a job and a migration.
  shop = {
    cache.enable = false;
    environment.LOG_LEVEL = "info";
    secrets.SENTRY_DSN = "/run/secrets/sentry";
    services = {
      api = {
        preset = "api";
        package = standIn "shop";
        replicas = 2;
        secrets.SECRET_KEY = "/run/secrets/api-key";
      };
      web = {
        package = standIn "shop-web";
        listen.port = 3000;
        arguments = [ "--port=$(PORT)" ];
        health.ready.http = "/healthz";
        health.live.http = "/alive";
        limits = {
          cpus = 1.5;
          memoryMiB = 512;
        };
        environment = {
          WORKERS = 4;
          DEBUG = false;
          LOG_LEVEL = null;
        };
        secrets = {
          SECRET_KEY = "/run/secrets/web-key";
          SENTRY_DSN = null;
        };
      };
    };
    jobs.report = {
      package = standIn "shop";
      arguments = [ "report" ];
      schedule.calendar = "*-*-* 03:15:00";
      limits.memoryMiB = 256;
    };
    domains."shop.example.com".routes = {
      "/".static = ../../hosts/team/site;
      "/api".service = "api";
      "/web" = {
        service = "web";
        stripPrefix = true;
      };
      "/old".redirect = "https://old.example.com/";
    };
  };
  inCompose =
    more: stack:
    compose (
      {
        inherit pkgs stack;
        name = "shop";
      }
      // more
    );
  inKubernetes =
    more: stack:
    kubernetes (
      {
        inherit pkgs stack;
        name = "shop";
        gateway.class = "shared";
      }
      // more
    );

  system = host [
    {
      services.slipway.stacks.shop = shop;
      security.acme = {
        acceptTerms = true;
        defaults.email = "ops@example.com";
      };
    }
  ];
  composed = inCompose { } shop;
  clustered = inKubernetes { } shop;
  objectsOf =
    kind: lib.filter (one: one.kind == kind) (lib.concatLists (lib.attrValues clustered.objects));
  called = name: lib.findFirst (one: one.metadata.name == name) null;

  # What a program is, as each platform says it.
  onHost =
    unit:
    let
      service = system.systemd.services.${unit};
      inherit (service) serviceConfig;
    in
    {
      environment = service.environment;
      secrets = map (one: lib.head (lib.splitString ":" one)) serviceConfig.LoadCredential;
      limits = {
        cpus = lib.toInt (lib.removeSuffix "%" serviceConfig.CPUQuota) / 100.0;
        memoryMiB = lib.toInt (lib.removeSuffix "M" serviceConfig.MemoryMax);
      };
    };
  asContainer =
    name:
    let
      container = composed.objects.services.${name};
      limits = container.deploy.resources.limits;
    in
    {
      environment = plain container.environment;
      secrets = secretsIn container.environment;
      limits = {
        cpus = builtins.fromJSON limits.cpus * 1.0;
        memoryMiB = lib.toInt (lib.removeSuffix "m" limits.memory);
      };
    };
  podsOf = {
    api = (called "shop-api" (objectsOf "Deployment")).spec.template;
    web = (called "shop-web" (objectsOf "Deployment")).spec.template;
    migrate = (called "shop-migrate" (objectsOf "Job")).spec.template;
    report = (called "shop-report" (objectsOf "CronJob")).spec.jobTemplate.spec.template;
  };
  asPod =
    name:
    let
      container = lib.head podsOf.${name}.spec.containers;
      inherit (container.resources) limits;
      environment = lib.listToAttrs (map (one: lib.nameValuePair one.name one.value) container.env);
    in
    {
      environment = plain environment;
      secrets = secretsIn environment;
      limits = {
        cpus = builtins.fromJSON limits.cpu * 1.0;
        memoryMiB = lib.toInt (lib.removeSuffix "Mi" limits.memory);
      };
    };
  files = lib.filterAttrs (variable: _: lib.hasSuffix "_FILE" variable);
  secretsIn = environment: map (lib.removeSuffix "_FILE") (lib.attrNames (files environment));
  plain = environment: lib.filterAttrs (variable: _: !lib.hasSuffix "_FILE" variable) environment;

  # Each platform has its own ways to database, ports and addresses.
  ofPlatform = [
    "API_HOST"
    "API_KEEPALIVE_SECONDS"
    "API_PORT"
    "API_REQUEST_TIMEOUT_SECONDS"
    "API_SHUTDOWN_GRACE_SECONDS"
    "API_TRUSTED_PROXIES"
    "DATABASE_HOST"
    "DATABASE_PORT"
    "HOST"
    "JOBS_STACK"
    "LOCALE_ARCHIVE"
    "METRICS_HOST"
    "METRICS_PORT"
    "PATH"
    "TZDIR"
  ];
  alike =
    one:
    one
    // {
      environment = removeAttrs (plain one.environment) ofPlatform;
      # A host's own server knows the account at its socket.
      secrets = lib.subtractLists [ "DATABASE_PASSWORD" ] one.secrets;
    };
  units = {
    api = "shop-api-1";
    web = "shop-web-1";
    migrate = "shop-migrate";
    report = "shop-report";
  };
  same =
    program:
    let
      want = alike (onHost units.${program});
    in
    [
      {
        name = "${program} has the same limits, secrets and variables in compose as on a host";
        got = alike (asContainer program);
        inherit want;
      }
      {
        name = "${program} has the same limits, secrets and variables in Kubernetes as on a host";
        got = alike (asPod program);
        inherit want;
      }
    ];

  # A configuration of nginx, by location.
  locationsIn =
    text:
    lib.unique (
      lib.sort lib.lessThan (
        map (part: lib.head (lib.splitString " {" part)) (
          lib.tail (lib.splitString "\n        location " text)
        )
      )
    );
  ofDomain =
    locations:
    lib.filter (location: !lib.hasPrefix "@" location) (
      lib.subtractLists [ "/.well-known/acme-challenge/" "^~ /.well-known/acme-challenge/" ] locations
    );
  nginxInPod = (called "shop-proxy" (objectsOf "ConfigMap")).data."nginx.conf";

  # What a rendering refuses, with words of the sentence.
  refused = words: rendering: {
    name = "refused: ${toString words}";
    got =
      if lib.any (one: lib.all (word: lib.hasInfix word one) words) rendering.problems then
        "refused"
      else
        rendering.problems;
    want = "refused";
  };

  hooked = more: {
    services.hooks = {
      package = standIn "hooks";
      listen.port = 9000;
    }
    // more;
    database.enable = false;
    cache.enable = false;
    domains."hooks.example.com".routes."/".service = "hooks";
  };
  changed = lib.recursiveUpdate (hooked { });
  timed =
    job:
    changed {
      jobs.nightly = {
        package = standIn "hooks";
      }
      // job;
    };

  # Options by their path below a stack.
  optionsOf =
    options:
    map (option: lib.concatStringsSep "." option.loc) (
      lib.filter (option: !lib.elem "_module" option.loc) (lib.optionAttrSetToDocList options)
    );
  onHosts =
    let
      system = import (pkgs.path + "/nixos/lib/eval-config.nix") {
        inherit (pkgs.stdenv.hostPlatform) system;
        modules = [ nixosModules.stack ];
      };
      ofStack = system.options.services.slipway.stacks.type.getSubOptions [ ];
      forPeople = lib.filter (option: option.visible && !option.internal) (
        lib.optionAttrSetToDocList (removeAttrs ofStack [ "_module" ])
      );
    in
    map (option: lib.removePrefix "<name>." option.name) forPeople;
  inContainers =
    optionsOf
      (lib.evalModules {
        modules = (import ../../nix/stack).modules ++ [
          { _module.args.name = "shop"; }
          ../../nix/containers/host-only.nix
        ];
      }).options;
  # The option itself, or one that stands for all below it.
  isKnown = option: lib.any (known: known == option || lib.hasPrefix "${known}." option) inContainers;
in
lib.concatMap same (lib.attrNames units)
++ [
  {
    name = "web listens at one port, which every platform asks for its health";
    got = {
      host = system.systemd.services.shop-web-1.environment.PORT;
      waits = lib.hasSuffix ''"http" "127.0.0.1:3000" "/healthz"'' (
        lib.head system.systemd.services.shop-web-1.serviceConfig.ExecStartPost
      );
      compose = composed.objects.services.web.environment.PORT;
      asked = lib.last composed.objects.services.web.healthcheck.test;
      pod = map (port: port.containerPort) (lib.head podsOf.web.spec.containers).ports;
      service = (lib.head (called "shop-web" (objectsOf "Service")).spec.ports).port;
      ready = (lib.head podsOf.web.spec.containers).readinessProbe.httpGet;
      live = (lib.head podsOf.web.spec.containers).livenessProbe.httpGet.path;
    };
    want = {
      host = "3000";
      waits = true;
      compose = "3000";
      asked = "wget -q -O /dev/null http://127.0.0.1:3000/healthz || curl -fsS -o /dev/null http://127.0.0.1:3000/healthz";
      pod = [ 3000 ];
      service = 3000;
      ready = {
        path = "/healthz";
        port = "http";
      };
      live = "/alive";
    };
  }
  {
    name = "a job has the same times";
    got = {
      host = system.systemd.timers.shop-report.timerConfig.OnCalendar;
      compose = lib.hasInfix "\nOnCalendar=*-*-* 03:15:00\n" composed.files."systemd/shop-report.timer";
      kubernetes = (called "shop-report" (objectsOf "CronJob")).spec.schedule;
    };
    want = {
      host = "*-*-* 03:15:00";
      compose = true;
      kubernetes = "15 3 * * *";
    };
  }
  {
    name = "nginx has the same locations in compose, in the cluster's pod and on a host";
    got = {
      compose = ofDomain (locationsIn composed.files."nginx.conf");
      pod = ofDomain (locationsIn nginxInPod);
    };
    want =
      let
        onHost = ofDomain (lib.attrNames system.services.nginx.virtualHosts."shop.example.com".locations);
      in
      {
        compose = onHost;
        pod = onHost;
      };
  }
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
  {
    name = "earlier names of options mean the same";
    got =
      (inCompose { } {
        api.package = standIn "shop";
        migrations.timeoutSeconds = 60;
      }).objects.services.migrate.command;
    want = [ "migrate" ];
  }
  {
    name = "a secret that two programs have from different files has two keys";
    got = lib.mapAttrs (_: service: service.secrets or [ ]) {
      inherit (composed.objects.services) api web migrate;
    };
    want = {
      api = [
        "database_password"
        "api_secret_key"
        "sentry_dsn"
      ];
      web = [
        "database_password"
        "web_secret_key"
      ];
      migrate = [
        "database_password"
        "api_secret_key"
        "sentry_dsn"
      ];
    };
  }
]
++ map (block: {
  name = "docs/containers.md: what it renders has no mistakes";
  got =
    let
      written = lib.replaceStrings [ "import ./stack.nix" ] [ "(_: shop)" ] block.text;
      made = import (builtins.toFile "block.nix" "{ slipway, nixpkgs, packages, shop }:\n${written}") {
        slipway.lib = { inherit compose kubernetes; };
        nixpkgs.legacyPackages.x86_64-linux = pkgs;
        packages = { };
        inherit shop;
      };
    in
    lib.mapAttrs (_: rendering: rendering.problems) made.packages.x86_64-linux;
  want = {
    compose = [ ];
    kubernetes = [ ];
  };
}) (pages.blocks ../../docs/containers.md)
++ [
  {
    name = "containers know each option that a stack has on a host";
    got = lib.filter (option: !isKnown option) onHosts;
    want = [ ];
  }
  (refused [ "openEgress" ] (
    inCompose { } (changed {
      allowedAddresses = [ "10.0.0.0/24" ];
    })
  ))
  (refused [ "healthchecks.web" ] (inCompose { healthchecks.web = [ "NONE" ]; } (hooked { })))
  (refused [ "images.web" ] (inCompose { images.web = "x"; } (hooked { })))
  (refused [ "nginx" "another name" ] (
    inCompose { } (changed {
      services.nginx.package = standIn "x";
    })
  ))
  (refused [ "services.hooks.listen.port" ] (
    inCompose { } (changed {
      services.hooks.listen = {
        port = null;
        type = "unix";
      };
    })
  ))
  (refused [ "database.extensions" "is for hosts" ] (
    inCompose { } (changed {
      database.extensions = [ "x" ];
    })
  ))
  (refused [ "domains.\"hooks.example.com\".extraConfig" "is for hosts" ] (
    inCompose { } (changed {
      domains."hooks.example.com".extraConfig = "x";
    })
  ))
  (refused [ "hooks" "no Nix store" ] (
    inCompose { } (changed {
      services.hooks.environment.SITE = "${pkgs.path}/x";
    })
  ))
  {
    name = "the authority of a database elsewhere comes along, and programs may reach it";
    got =
      let
        stack = changed {
          database = {
            host = "10.9.0.5";
            passwordFile = "/run/secrets/password";
            caFile = ../../hosts/prod/certificates/authority.pem;
          };
        };
        kubernetes = inKubernetes { } stack;
        composed = inCompose { openEgress = true; } stack;
        pod = (called "shop-hooks" kubernetes.objects.service-hooks).spec.template.spec;
      in
      {
        files = composed.files ? "database-ca.pem";
        inherit (composed.objects.services.hooks) volumes networks;
        variable = composed.objects.services.hooks.environment.DATABASE_SSL_ROOT_CERT;
        pod = lib.elem "database-ca" (map (volume: volume.name) pod.volumes);
        map = lib.attrNames (called "shop-database-ca" kubernetes.objects.namespace).data;
        outside = (called "shop-hooks-outside" kubernetes.objects.network-policies).spec.egress;
      };
    want = {
      files = true;
      volumes = [ "./database-ca.pem:/etc/slipway/database-ca.pem:ro" ];
      networks = [
        "backend"
        "egress"
      ];
      variable = "/etc/slipway/database-ca.pem";
      pod = true;
      map = [ "database-ca.pem" ];
      outside = [ { to = [ { ipBlock.cidr = "10.9.0.5/32"; } ]; } ];
    };
  }
  (refused [ "gateway" "ingress" ] (inKubernetes { gateway = null; } (hooked { })))
  (refused [ "class" "parent" ] (inKubernetes { gateway = { }; } (hooked { })))
  (refused [ "ingress" "namespace" ] (
    inKubernetes {
      gateway = null;
      ingress.class = "nginx";
    } (hooked { })
  ))
  (refused [ "ingress.annotations" "traefik" ] (
    inKubernetes {
      gateway = null;
      ingress = {
        class = "traefik";
        namespace = "traefik";
      };
    } (hooked { })
  ))
  (refused [ "scale" "web" ] (inKubernetes { scale.web.most = 3; } (hooked { })))
  (refused [ "storage" "web" ] (inKubernetes { storage.web.size = "1Gi"; } (hooked { })))
  (refused [ "signalInImage" "web" ] (inKubernetes { signalInImage = [ "web" ]; } (hooked { })))
  (refused [ "services.hooks.stopSignal" "signalInImage" ] (
    inKubernetes { } (changed {
      services.hooks.stopSignal = "SIGINT";
    })
  ))
  (refused [ "services.hooks.writablePaths" ] (
    inKubernetes { } (changed {
      services.hooks.writablePaths = [ "/srv" ];
    })
  ))
  (refused [ "services.hooks.allowedAddresses" "link-local" ] (
    inKubernetes { } (changed {
      services.hooks.allowedAddresses = [ "link-local" ];
    })
  ))
  (refused [ "services.hooks.stateDirectory" "storage.hooks" ] (
    inKubernetes { } (changed {
      services.hooks.stateDirectory = true;
    })
  ))
  (refused [ "jobs.nightly.cron" ] (
    inKubernetes { } (timed {
      schedule.calendar = "Mon..Fri *:0/7";
    })
  ))
  (refused [ "proxy" "another name" ] (
    inKubernetes { } (changed {
      services.proxy.package = standIn "x";
    })
  ))
  {
    name = "systemd's times are cron's where those have them";
    got =
      map
        (
          schedule:
          (called "hooks-nightly" (
            lib.concatLists (
              lib.attrValues
                (kubernetes {
                  inherit pkgs;
                  name = "hooks";
                  gateway.class = "shared";
                  stack = timed { inherit schedule; };
                }).objects
            )
          )).spec.schedule
        )
        [
          { calendar = "daily"; }
          { calendar = "*-*-* 03:05:00"; }
          { calendar = "Mon 23:00"; }
          { intervalSeconds = 900; }
          { intervalSeconds = 21600; }
        ];
    want = [
      "0 0 * * *"
      "5 3 * * *"
      "0 23 * * Mon"
      "*/15 * * * *"
      "0 */6 * * *"
    ];
  }
]
++
  # The committed copies, besides a page for people.
  lib.mapAttrsToList
    (folder: rendering: {
      name = "deploy/${folder} is what nix/containers/slipway.nix gives (nix run .#render)";
      got = lib.filterAttrs (path: _: path != "README.md") (
        lib.genAttrs
          (map (path: lib.removePrefix "./" (lib.path.removePrefix (../../deploy + "/${folder}") path)) (
            lib.filesystem.listFilesRecursive (../../deploy + "/${folder}")
          ))
          (path: builtins.readFile (../../deploy + "/${folder}/${path}") == rendering.files.${path} or null)
      );
      want = lib.mapAttrs (_: _: true) rendering.files;
    })
    {
      compose = compose ({ inherit pkgs; } // own.compose);
      kubernetes = kubernetes ({ inherit pkgs; } // own.kubernetes);
    }
