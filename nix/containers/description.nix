# A stack as containers need it, for both renderers: the description with what a platform of containers adds, and of each
# program what it is started with. Paths of secrets are the host's; here only their names count.
{
  lib,
  name,
  stack,
  # What the platform alone knows: `address` of database and cache, the networks of proxies, where secrets lie.
  platform,
}:
let
  contract = import ../contract.nix;
  values = import ../stack/values.nix { inherit lib; };
  inherit (contract) ports times;
  inherit (lib) mkDefault mkIf;

  # Between a default and a value: what a host counts from for its replicas, every container has at one port.
  mkHere = lib.mkOverride 900;
  password = mkDefault "/run/secrets/password";

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
          passwordFile = mkDefault "/run/secrets/database_password";
          owner.passwordFile = mkIf (config.database.owner.role != null) (
            mkDefault "/run/secrets/database_owner_password"
          );
        };
        cache = mkIf config.cache.enable {
          address = platform.cache;
          passwordFile = mkDefault "/run/secrets/redis_password";
        };
        environment = lib.mkMerge [
          (mkIf config.database.enable { DATABASE_PORT = mkDefault ports.postgres; })
          (mkIf config.cache.enable { REDIS_PORT = mkDefault ports.redis; })
        ];
        assertions =
          lib.mapAttrsToList (service: asked: {
            assertion = asked.listen.type == "none" || asked.listen.port != null;
            message = "services.${service}.listen.port is not set, and in containers every service is reached by a port: set it.";
          }) config.services
          ++ platform.assertions config;
      };
    };

  config = (import ../stack).evaluate {
    inherit lib name;
    stack.imports = [
      stack
      module
    ];
  };

  # Migrations and other jobs before a start come as the owner of the tables.
  seenBy =
    kind: program:
    if kind == "jobs" && program.before == "start" then
      config
      // {
        environment = config.environment // config.database.ownerVariables;
        secrets = config.secrets // config.database.ownerSecrets;
      }
    else
      config;

  # What programs of the contract read in containers (docs/settings.md); all others get the customary names.
  given =
    kind: program:
    if kind == "jobs" then
      { }
    else if program.preset == "api" then
      {
        API_HOST = "0.0.0.0";
        API_PORT = program.listen.port;
        API_REQUEST_TIMEOUT_SECONDS = times.requestSeconds;
        API_KEEPALIVE_SECONDS = times.keepaliveSeconds;
        API_SHUTDOWN_GRACE_SECONDS = times.shutdownGraceSeconds;
        API_TRUSTED_PROXIES = platform.trustedProxies;
        METRICS_PORT = program.metrics.port;
      }
    else
      lib.optionalAttrs (program.listen.type != "none") (
        {
          HOST = "0.0.0.0";
        }
        // (
          if program.listen.type != "tcp" then
            { PORT = program.listen.port; }
          else
            lib.optionalAttrs (program.listen.variable != null) {
              ${program.listen.variable} = program.listen.port;
            }
        )
      )
      // lib.optionalAttrs (program.metrics.port != null && program.metrics.variable != null) {
        METRICS_HOST = "0.0.0.0";
        ${program.metrics.variable} = program.metrics.port;
      };

  # Where a program's own secret has the name of another one, the program's name comes before.
  keyOf =
    kind: program: secret: path:
    let
      all = lib.concatMap (one: lib.optional (one.files ? ${secret}) one.files.${secret}) paths;
      shared = config.secrets.${secret} or null;
    in
    if kind == "jobs" && (config.database.ownerSecrets.${secret} or null) == path then
      lib.replaceStrings [ "DATABASE_" ] [ "DATABASE_OWNER_" ] secret
    else if path == shared || lib.all (other: other == path) all then
      secret
    else
      "${lib.toUpper (lib.replaceStrings [ "-" ] [ "_" ] program)}_${secret}";
  paths =
    let
      of =
        kind:
        lib.mapAttrsToList (_: program: {
          files = values.secrets (seenBy kind program) program;
        }) config.${kind};
    in
    lib.filter (one: one.files != { }) (of "services")
    # The owner's have names of their own.
    ++ lib.mapAttrsToList (_: job: { files = values.secrets config job; }) config.jobs;

  mainProgram =
    program:
    if program.package == null then
      null
    else
      "/bin/${baseNameOf (builtins.unsafeDiscardStringContext (lib.getExe program.package))}";
  identity =
    program:
    if program.package == null then null else builtins.unsafeDiscardStringContext "${program.package}";

  describe =
    kind: program: asked:
    let
      seen = seenBy kind asked;
      removed = lib.filterAttrs (_: value: value == null) asked.environment;
      environment =
        removeAttrs (lib.mapAttrs (_: text) (
          given kind asked
          // lib.optionalAttrs asked.stateDirectory { STATE_DIRECTORY = "/var/lib/${name}-${program}"; }
        )) (lib.attrNames removed)
        // values.environment seen asked;
      secrets = lib.mapAttrs (keyOf kind program) (values.secrets seen asked);
    in
    asked
    // {
      inherit kind secrets;
      name = program;
      environment = environment // lib.mapAttrs' (
        secret: key: lib.nameValuePair "${secret}_FILE" (platform.secret key)
      ) secrets;
      stateFolder = "/var/lib/${name}-${program}";
      executable = mainProgram asked;
      # The first program of the same package; so an image that two programs share has one name.
      imageOf =
        let
          same = lib.filterAttrs (_: other: asked.package != null && identity other == identity asked);
          first = lib.attrNames (same config.services) ++ lib.attrNames (same config.jobs);
        in
        if first == [ ] then program else lib.head first;
      outside = lib.any (address: address != "localhost") (values.allowedAddresses config asked);
    };

  text = value: if lib.isBool value then lib.boolToString value else toString value;
in
{
  inherit config;
  # What all programs have in their environment.
  shared = values.environment config { environment = { }; };
  services = lib.mapAttrsToList (describe "services") config.services;
  startJobs = map (job: describe "jobs" job config.jobs.${job}) (values.startJobs config);
  timedJobs = lib.mapAttrsToList (describe "jobs") (
    lib.filterAttrs (_: job: job.before == null) config.jobs
  );
}
