# Slipway's own stack, said once: deploy/ is its rendering. Of the packages containers take the programs' names alone.
{ contract }:
let
  inherit (contract) database times;
  program = name: {
    type = "derivation";
    inherit name;
    outPath = "/${name}";
    meta.mainProgram = name;
  };
  secret = name: "/run/secrets/${name}";
in
{
  services = {
    api = {
      preset = "api";
      package = program "slipway-api";
      secrets = {
        ADMIN_PASSWORD = secret "admin_password";
        SECRET_KEY = secret "secret_key";
      };
    };
    worker = {
      preset = "worker";
      package = program "slipway-worker";
      secrets.SECRET_KEY = secret "secret_key";
    };
  };
  jobs.migrate = {
    before = "start";
    package = program "slipway-api";
    arguments = [ "migrate" ];
    timeoutSeconds = times.migrateSeconds;
    # It has no use for the cache.
    secrets.REDIS_PASSWORD = null;
  };
  environment = {
    DATABASE_POOL_SIZE = database.poolSize;
    DATABASE_MAX_OVERFLOW = database.maxOverflow;
    LOG_FORMAT = "json";
  };
  database = {
    inherit (database) name user;
    owner.role = database.owner;
  };
  domains."slipway.example.org".routes."/".service = "api";
}
