# One stack under NixOS, compose and Kubernetes: the same ports, health paths, limits, secrets, variables and routes.
# deploy/ is what is rendered.
{
  host,
  lib,
  nixosModules,
  pkgs,
  standIn,
  ...
}:
let
  inherit (import ./renderings-tools.nix { inherit pkgs standIn; })
    compose
    kubernetes
    own
    shop
    inCompose
    inKubernetes
    composed
    objectsOf
    called
    hooked
    nginxInPod
    changed
    timed
    ;
  pages = import ./pages.nix { inherit lib; };

  system = host [
    {
      services.slipway.stacks.shop = shop;
      security.acme = {
        acceptTerms = true;
        defaults.email = "ops@example.com";
      };
    }
  ];

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
    name = "a health path with a query is one word for the shell in a container";
    got =
      lib.last
        (inCompose { } (changed {
          services.hooks.health.ready.http = "/ready?deep=1&db=$main";
        })).objects.services.hooks.healthcheck.test;
    want =
      let
        url = "'http://127.0.0.1:9000/ready?deep=1&db=$$main'";
      in
      "wget -q -O /dev/null ${url} || curl -fsS -o /dev/null ${url}";
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
  {
    name = "pods ask for little, or for what is said; more come by what they take, not by a part of that";
    got =
      let
        objects = lib.concatLists (
          lib.attrValues
            (inKubernetes {
              requests.hooks.cpus = 0.5;
              scale.hooks.most = 4;
            } (hooked { })).objects
        );
        one =
          kind:
          lib.findFirst (object: object.kind == kind && object.metadata.name == "shop-hooks") null objects;
      in
      {
        said = (lib.head (one "Deployment").spec.template.spec.containers).resources.requests;
        own =
          (lib.head (called "shop-api" (objectsOf "Deployment")).spec.template.spec.containers)
          .resources.requests;
        more = map (metric: metric.resource.target) (one "HorizontalPodAutoscaler").spec.metrics;
      };
    want = {
      said = {
        cpu = "0.5";
        memory = "128Mi";
      };
      own = {
        cpu = "0.1";
        memory = "128Mi";
      };
      more = [
        {
          type = "AverageValue";
          averageValue = "700m";
        }
      ];
    };
  }
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
