# A stack for Docker Compose and Podman: texts by file name. docs/containers.md says what becomes what.
{
  lib,
  name,
  stack,
  # References by program, such as { web = "registry.example.org/shop@sha256:…"; }; also nginx, postgres and redis. One
  # that is not here and not in the stack is a variable of the file.
  images ? { },
  # How a service is asked whether it is well, where its image has no shell: { web = [ "CMD" "/bin/shop" "ping" ]; }.
  healthchecks ? { },
  # Addresses of the network between the containers.
  subnet ? "172.29.240.0/24",
  # Where the files lie on the machine, for the timers of jobs.
  folder ? "/srv/${name}",
  # Accept that a program which may talk to some addresses may talk to all.
  openEgress ? false,
  # Whether the one domain is served under any name that leads here.
  anyName ? false,
  # The first lines of every file.
  header ? "# Rendered by Slipway from the stack ${name}: change that, and render it again.\n",
}:
let
  contract = import ../contract.nix;
  yaml = import ../lib/yaml.nix;
  inherit (contract) ports user;
  parts = import ./compose-parts.nix { inherit lib; };
  values = import ../stack/values.nix { inherit lib; };
  inherit (import ../stack/texts.nix { inherit lib; }) instead;
  inherit (parts) check literal secret;

  prefix = lib.toUpper (lib.replaceStrings [ "-" ] [ "_" ] name);
  variable = program: "${prefix}_${lib.toUpper (lib.replaceStrings [ "-" ] [ "_" ] program)}_IMAGE";
  network = "\${${prefix}_BACKEND_SUBNET:-${subnet}}";
  own = [
    "nginx"
    "postgres"
    "redis"
  ];
  # By name, with nginx' own.
  secretsOf =
    config:
    lib.unique (
      lib.concatMap (one: lib.attrNames (values.secrets config one.program)) (values.programs config)
    )
    ++ lib.optionals (config.domains != { }) [
      "tls_certificate"
      "tls_key"
    ];

  described = import ./description.nix {
    inherit
      images
      lib
      name
      stack
      ;
    platform = {
      database = "postgres";
      cache = "redis";
      trustedProxies = network;
      secretFile = _: secret;
      secretFolder = "/run/secrets";
      reserved = own;
      assertions =
        config:
        lib.mapAttrsToList (program: asked: {
          assertion =
            openEgress
            || asked.allowedAddresses == null
            || lib.all (
              address:
              lib.elem address [
                "any"
                "localhost"
              ]
            ) asked.allowedAddresses;
          message = "${program}: compose cannot keep a program to some addresses (allowedAddresses); give the argument openEgress = true if it may reach all.";
        }) (config.services // config.jobs // { "the stack" = config; })
        ++ map (service: {
          assertion = config.services ? ${service};
          message = "healthchecks.${service} is no service of the stack; ${instead service (lib.attrNames config.services)}";
        }) (lib.attrNames healthchecks)
        ++ lib.mapAttrsToList (file: names: {
          assertion = lib.length names == 1;
          message = "${lib.concatStringsSep " and " names} would both be the file secrets/${file}: rename one of them in secrets.";
        }) (lib.groupBy lib.toLower (secretsOf config));
    };
  };
  inherit (described)
    config
    secretKeys
    services
    startJobs
    timedJobs
    ;
  proxied = config.domains != { };
  proxy = import ./nginx.nix {
    inherit anyName config lib;
    addressOf = service: "${service}:${toString config.services.${service}.listen.port}";
    resolve = true;
    tls = true;
  };

  # The shell's tools are those of most images; others need `healthchecks`.
  shell = command: [
    "CMD-SHELL"
    command
  ];
  testOf =
    service:
    let
      inherit (service.health) itself live ready;
      probe = if ready != null then ready else live;
      at = "127.0.0.1:${toString service.listen.port}";
      # A query has characters of the shell.
      url = literal (lib.escapeShellArg "http://${at}${probe.http}");
    in
    if healthchecks ? ${service.name} then
      healthchecks.${service.name}
    else if itself != null then
      [ "CMD" ] ++ itself
    else if probe == null then
      null
    else if probe ? command then
      [ "CMD" ] ++ map literal (service.health.command probe.command)
    else if probe ? http then
      shell "wget -q -O /dev/null ${url} || curl -fsS -o /dev/null ${url}"
    else
      shell "nc -z 127.0.0.1 ${toString service.listen.port}";

  # What runs before: jobs of a start one after another, behind database and cache.
  needs =
    jobs:
    lib.genAttrs jobs (_: {
      condition = "service_completed_successfully";
    })
    // lib.optionalAttrs config.database.enable { postgres.condition = "service_healthy"; }
    // lib.optionalAttrs config.cache.enable { redis.condition = "service_started"; };

  program =
    asked: dependencies:
    parts.common {
      inherit (asked) limits;
      stopSeconds = asked.stopSeconds or contract.times.killSeconds;
    }
    // {
      image =
        if asked.image != null then
          asked.image
        else
          parts.required (variable asked.shared) "registry.example.org/${name}-${asked.shared}";
      user = "${toString user.uid}:${toString user.gid}";
      # A network with a way out only for those that need one.
      networks = [ "backend" ] ++ lib.optional (asked.outside != [ ]) "egress";
      environment = lib.mapAttrs (
        _: value: if value == network then value else literal value
      ) asked.environment;
      tmpfs = [ "/tmp:mode=1777" ];
    }
    // lib.optionalAttrs (asked.arguments != [ ]) {
      command = map literal asked.arguments;
    }
    // lib.optionalAttrs (asked.secrets != { }) {
      secrets =
        if asked.byName then
          lib.mapAttrsToList (target: key: {
            inherit target;
            source = lib.toLower key;
          }) asked.secrets
        else
          lib.unique (map lib.toLower (lib.attrValues asked.secrets));
    }
    // lib.optionalAttrs (dependencies != { }) { depends_on = dependencies; }
    // (
      let
        folders =
          lib.optional (asked.caFile != null) "./database-ca.pem:${asked.caFile}:ro"
          ++ lib.optional asked.stateDirectory "./state/${asked.name}:${asked.stateFolder}"
          ++ map (path: "${path}:${path}") asked.writablePaths
          ++ map (path: "${path}:${path}:ro") asked.readablePaths;
      in
      lib.optionalAttrs (folders != [ ]) { volumes = folders; }
    );

  serviceOf =
    asked:
    let
      test = testOf asked;
      container = program asked (needs (map (job: job.name) startJobs));
    in
    container
    // {
      deploy = container.deploy // {
        inherit (asked) replicas;
      };
      healthcheck =
        if test == null then
          { disable = true; }
        else
          check {
            inherit (asked.health) intervalSeconds retries timeoutSeconds;
            inherit (asked) startSeconds;
          } test;
    }
    // lib.optionalAttrs (asked.stopSignal != contract.stopSignal) { stop_signal = asked.stopSignal; };

  jobOf =
    before: asked:
    program asked (needs before)
    // {
      healthcheck.disable = true;
      restart = "no";
    };
  # Each after all that come before it.
  start = lib.imap0 (
    n: asked: jobOf (lib.take n (map (job: job.name) startJobs)) asked // { restart = "on-failure:5"; }
  ) startJobs;
  # Only when they are asked for: the timers do.
  timed = map (
    asked: jobOf (map (job: job.name) startJobs) asked // { profiles = [ "jobs" ]; }
  ) timedJobs;
  named = lib.zipListsWith (asked: lib.nameValuePair asked.name);

  nginx = parts.common { } // {
    image = parts.required "NGINX_IMAGE" "nginxinc/nginx-unprivileged:1.29";
    user = "101:101";
    group_add = [ (toString user.gid) ];
    networks = [
      "frontend"
      "backend"
    ];
    # Docker and podman have their name servers at different addresses.
    command = [
      "sh"
      "-c"
      (
        "awk '$$1 == \"nameserver\" { print \"resolver \" $$2 \" valid=1s ipv6=off;\"; exit }' /etc/resolv.conf >/tmp/resolver.conf && "
        + "exec nginx -g 'daemon off;'"
      )
    ];
    ports = [
      "${toString ports.http}:${toString ports.proxyHttp}"
      "${toString ports.https}:${toString ports.proxyHttps}"
    ];
    volumes = [
      "./nginx.conf:/etc/nginx/nginx.conf:ro"
    ]
    ++ lib.optional (proxy.statics != { }) "./static:${proxy.staticFolder}:ro";
    tmpfs = [ "/tmp:mode=1777" ];
    secrets = [
      "tls_certificate"
      "tls_key"
    ];
    depends_on = lib.genAttrs proxy.upstreams (service: {
      condition =
        if testOf (lib.findFirst (one: one.name == service) null services) == null then
          "service_started"
        else
          "service_healthy";
    });
    healthcheck = check { } [
      "CMD"
      "curl"
      "--fail"
      "--silent"
      "--max-time"
      "5"
      "http://127.0.0.1:${toString ports.proxyPing}/"
    ];
  };

  backing = import ./compose-backing.nix {
    inherit lib;
    stack = config;
  };
  imageOr =
    server: container:
    container // lib.optionalAttrs (images ? ${server}) { image = images.${server}; };
  all =
    lib.listToAttrs (
      named services (map serviceOf services) ++ named startJobs start ++ named timedJobs timed
    )
    // lib.mapAttrs imageOr (lib.optionalAttrs proxied { inherit nginx; } // backing);
  secrets =
    map lib.toLower secretKeys
    ++ lib.concatMap (container: container.secrets or [ ]) (lib.attrValues backing)
    ++ lib.optionals proxied nginx.secrets;

  file = {
    inherit name;
    services = all;
    networks = {
      # Nothing in it reaches the outside, or is reached from there. Named, so that services know the proxy by it.
      backend = {
        internal = true;
        ipam.config = [ { subnet = network; } ];
      };
    }
    // lib.optionalAttrs proxied { frontend = { }; }
    // lib.optionalAttrs (lib.any (asked: asked.outside != [ ]) (services ++ startJobs ++ timedJobs)) {
      egress = { };
    };
    secrets = lib.genAttrs (lib.unique secrets) (key: {
      file = "./secrets/${key}";
    });
  }
  // lib.optionalAttrs (backing ? postgres) { volumes.postgres = { }; };

  # In the order of the file: what it must be told.
  examples =
    let
      asked = lib.concatMap (
        container: lib.optional (lib.hasPrefix "\${" container.image) container.image
      ) (lib.attrValues all);
      parsed = map (builtins.match "[$][{]([A-Z0-9_]+):.* such as (.*)@sha256:.*") (lib.unique asked);
      nothing = lib.fixedWidthString 64 "0" "";
    in
    map (pair: "${lib.elemAt pair 0}=${lib.elemAt pair 1}@sha256:${nothing}") parsed;
in
{
  inherit (described) config problems;
  inherit (proxy) statics;
  objects = file;
  files = lib.mapAttrs (_: text: header + text) (
    {
      "docker-compose.prod.yml" = yaml.document file;
      "example.env" = lib.concatLines (
        [
          "# So that `docker compose` in this folder needs no --file."
          "COMPOSE_FILE=docker-compose.prod.yml"
        ]
        ++ lib.optional (examples != [ ]) "# Images by digest: the compose file does not start without."
        ++ examples
      );
    }
    // lib.optionalAttrs proxied { "nginx.conf" = proxy.text; }
    // lib.optionalAttrs (config.database.caFile != null) {
      "database-ca.pem" = builtins.readFile config.database.caFile;
    }
    // lib.optionalAttrs (backing ? postgres && config.database.owner.role != null) {
      "roles.sh" = import ./roles.nix {
        owner = config.database.owner.role;
        inherit (config.database) user;
      };
    }
    // import ./timers.nix {
      inherit
        folder
        lib
        name
        timedJobs
        ;
    }
  );
}
