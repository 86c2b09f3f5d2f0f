# Slipway's own stack, and how it is rendered: deploy/ is the result. Of the packages containers take the programs' names
# alone, so nothing is built.
let
  contract = import ../contract.nix;
  inherit (contract) database;
  program = name: {
    type = "derivation";
    inherit name;
    outPath = "/${name}";
    meta.mainProgram = name;
  };
  secret = name: "/run/secrets/${name}";
  common = {
    name = "slipway";
    header = "# Made from nix/containers/slipway.nix; to change it, change that and run: nix run .#render\n";
    stack = {
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
      # It needs the database and nothing else.
      jobs.migrate.secrets = {
        ADMIN_PASSWORD = null;
        REDIS_PASSWORD = null;
        SECRET_KEY = null;
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
      proxy = {
        domain = "slipway.example.org";
        limits.bodyMiB = contract.proxy.ownBodyMiB;
      };
    };
  };
in
{
  compose = common // {
    # The domain above stands for anybody's.
    anyName = true;
  };
  kubernetes = common // {
    # Many clusters call the class otherwise: deploy/kubernetes/README.md.
    gateway.class = "slipway";
    scale.api.most = contract.replicas.apiMost;
  };
}
