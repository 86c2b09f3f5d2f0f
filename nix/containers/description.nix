# A stack as containers need it, for both renderers: the description with what every platform of containers adds. Each
# program has what it is started with. Paths of secrets are the host's; here only their names count.
{
  lib,
  name,
  stack,
  # References by program.
  images,
  # What the platform alone knows: `database` and `cache` (addresses), `trustedProxies`, `secretFile` (of a secret and its
  # key), `secretFolder`, `reserved` (names of its own containers), `assertions` (of the description).
  platform,
}:
let
  contract = import ../contract.nix;
  values = import ../stack/values.nix { inherit lib; };
  inherit (contract) ports times;
  inherit (import ../stack/texts.nix { inherit lib; }) instead isName;
  inherit (lib) mkDefault mkIf;

  # Below what a stack says and above what the presets say: a host counts replicas' ports, a container has one.
  mkHere = lib.mkOverride 900;
  caFile = "/etc/slipway/database-ca.pem";
  # Only its name counts.
  secretAt = secret: mkDefault "/run/secrets/${secret}";

  module =
    { config, ... }:
    {
      imports = [ ./host-only.nix ];
      options.services = lib.mkOption {
        type = lib.types.attrsOf (
          lib.types.submodule (
            { config, ... }:
            {
              metrics.port = mkIf (config.preset != null) (mkHere ports."${config.preset}Metrics");
            }
          )
        );
      };
      config = {
        database = mkIf config.database.enable {
          address = platform.database;
          passwordFile = secretAt "database_password";
          owner.passwordFile = mkIf (config.database.owner.role != null) (secretAt "database_owner_password");
        };
        cache = mkIf config.cache.enable {
          address = platform.cache;
          passwordFile = secretAt "redis_password";
        };
        # Metrics of the contract have a port that no route leads to.
        proxy.closedPaths = mkIf (lib.all (
          service: service.listen.type == "none" || service.preset != null
        ) (lib.attrValues config.services)) (mkHere [ ]);
        environment = lib.mkMerge [
          # The file comes along.
          (mkIf (config.database.caFile != null) { DATABASE_SSL_ROOT_CERT = mkHere caFile; })
          (mkIf config.database.enable { DATABASE_PORT = mkDefault ports.postgres; })
          (mkIf config.cache.enable { REDIS_PORT = mkDefault ports.redis; })
        ];
        assertions =
          lib.mapAttrsToList (service: asked: {
            assertion = asked.listen.type == "none" || asked.listen.port != null;
            message = "services.${service}.listen.port is not set, and in containers every service is reached by a port: set it.";
          }) config.services
          ++ [
            {
              assertion = isName name;
              message = "the name ${name} becomes part of those of containers; take up to 24 lower-case letters, digits and `-`, a letter first and no `-` last.";
            }
            {
              assertion =
                let
                  file = config.database.caFile;
                in
                file == null || builtins.isPath file || lib.hasPrefix "${builtins.storeDir}/" "${file}";
              message = "database.caFile is ${toString config.database.caFile}, a file of a host, and it comes along with the containers: give one of your flake, such as ./database-ca.pem.";
            }
          ]
          ++ map (program: {
            assertion = !(lib.elem program platform.reserved);
            message = "${program} is a container of the rendering's own: give that service or job another name.";
          }) (programsOf config)
          ++ map (program: {
            assertion = lib.elem program (programsOf config);
            message = "images.${program} is no service or job of the stack; ${instead program (programsOf config)}";
          }) (lib.attrNames (removeAttrs images platform.reserved))
          ++ lib.concatLists (
            lib.mapAttrsToList (
              program: asked:
              map
                (value: {
                  assertion = !lib.hasInfix builtins.storeDir (toString value);
                  message = "${program} has ${toString value} in environment or arguments, and containers have no Nix store: put the file into the image and name its path there, or make it a secret.";
                })
                (
                  lib.attrValues (removeAttrs (values.environment config asked) [ "DATABASE_SSL_ROOT_CERT" ])
                  ++ asked.arguments
                )
            ) (config.services // config.jobs)
          )
          ++ platform.assertions config;
      };
    };

  inherit
    ((import ../stack).evaluate {
      inherit lib name;
      stack.imports = [
        stack
        module
      ];
    })
    config
    problems
    ;
  programsOf = config: lib.attrNames config.services ++ lib.attrNames config.jobs;
  programs = programsOf config;
  all = config.services // config.jobs;

  # What a program of the contract reads in containers (docs/settings.md); all others get the customary names.
  given =
    program:
    lib.optionalAttrs (program.preset == "api") {
      API_REQUEST_TIMEOUT_SECONDS = times.requestSeconds;
      API_KEEPALIVE_SECONDS = times.keepaliveSeconds;
      API_SHUTDOWN_GRACE_SECONDS = times.shutdownGraceSeconds;
      API_TRUSTED_PROXIES = platform.trustedProxies;
    }
    // lib.optionalAttrs (program.listen.type != "none") {
      ${if program.preset == "api" then "API_HOST" else "HOST"} = "0.0.0.0";
      # The variable of a socket is not that of a port. None is one without a name.
      ${
        if program.listen.type == "tcp" || program.preset == "api" then program.listen.variable else "PORT"
      } =
        program.listen.port;
    }
    // lib.optionalAttrs (program.metrics.port != null) {
      METRICS_HOST = "0.0.0.0";
      ${program.metrics.variable} = program.metrics.port;
    };

  # The key of a secret. Where programs have different ones of the same name, that of the first one comes before.
  keyOf =
    program: secret: path:
    if config.database.ownerSecrets.${secret} or null == path then
      lib.replaceStrings [ "DATABASE_" ] [ "DATABASE_OWNER_" ] secret
    else if
      path == config.secrets.${secret} or null || lib.length (lib.unique paths.${secret}) == 1
    then
      secret
    else
      let
        first = lib.findFirst (
          other: (values.secrets config all.${other}).${secret} or null == path
        ) program programs;
      in
      "${lib.toUpper (lib.replaceStrings [ "-" ] [ "_" ] first)}_${secret}";
  # All files of a name. The owner's have names of their own.
  paths = lib.mapAttrs (
    secret: lib.filter (path: path != config.database.ownerSecrets.${secret} or null)
  ) (lib.zipAttrs (map (values.secrets config) (lib.attrValues all)));

  identity =
    program:
    if program.package == null then null else builtins.unsafeDiscardStringContext "${program.package}";
  # Programs of one package are in one image, and have one name for it.
  imageOf =
    program: asked:
    let
      same = lib.filter (other: identity all.${other} == identity asked) programs;
    in
    if asked.package != null then
      lib.head same
    else if program == "migrate" && config.front != null then
      config.front
    else
      program;

  describe =
    kind: program: asked:
    let
      removed = lib.filterAttrs (_: value: value == null) asked.environment;
      files = values.secrets config asked;
      secrets = lib.mapAttrs (keyOf program) files;
      shared = imageOf program asked;
      executable =
        if asked.package == null then
          null
        else
          "/bin/${baseNameOf (builtins.unsafeDiscardStringContext (lib.getExe asked.package))}";
      # Whether it is told the folder, and looks for names in it.
      byName = lib.elem "CREDENTIALS_DIRECTORY" (lib.concatMap values.variables asked.arguments);
      environment =
        removeAttrs (lib.mapAttrs (_: values.text) (
          lib.optionalAttrs (kind == "services") (given asked)
          // lib.optionalAttrs asked.stateDirectory { STATE_DIRECTORY = stateFolder program; }
          // lib.optionalAttrs byName { CREDENTIALS_DIRECTORY = platform.secretFolder; }
        )) (lib.attrNames removed)
        // values.environment config asked
        // lib.mapAttrs' (
          secret: key:
          lib.nameValuePair "${secret}_FILE" (
            if byName then "${platform.secretFolder}/${secret}" else platform.secretFile secret key
          )
        ) secrets;
      # Compose knows no `$(NAME)`, and Kubernetes would take other text for one.
      arguments = map (values.substituted "[$]" (
        variable:
        environment.${variable}
          or (throw "${kind}.${program}.arguments names $(${variable}), which containers have not: a service has HOST and PORT there.")
      )) asked.arguments;
    in
    asked
    // {
      inherit
        arguments
        byName
        environment
        executable
        kind
        secrets
        shared
        ;
      name = program;
      image =
        images.${program} or (if asked.image != null then asked.image else images.${shared} or null);
      stateFolder = stateFolder program;
      # Where the authority of the database's server lies in it.
      caFile = if environment.DATABASE_SSL_ROOT_CERT or null == caFile then caFile else null;
      # Addresses outside that it may talk to; "any" for all.
      outside = lib.remove "localhost" (values.allowedAddresses config asked);
      # Probes; a program of the contract can ask itself.
      health = lib.optionalAttrs (kind == "services") (
        asked.health
        // {
          itself =
            if asked.preset != null && executable != null then
              [
                executable
                "healthcheck"
              ]
            else
              null;
          command =
            probe:
            if asked.package == null || lib.hasInfix "/" (lib.head probe) then
              probe
            else
              [ "/bin/${lib.head probe}" ] ++ lib.tail probe;
        }
      );
    };

  stateFolder = program: "/var/lib/${name}-${program}";
in
rec {
  inherit caFile config problems;
  services = lib.mapAttrsToList (describe "services") config.services;
  # In their order.
  startJobs = map (job: describe "jobs" job config.jobs.${job}) (values.startJobs config);
  timedJobs = lib.mapAttrsToList (describe "jobs") (
    lib.filterAttrs (_: job: job.before == null) config.jobs
  );
  # All that the platform must have, by key.
  secretKeys = lib.unique (
    lib.sort lib.lessThan (
      lib.concatMap (program: lib.attrValues program.secrets) (services ++ startJobs ++ timedJobs)
    )
  );
}
