# Postgres and Redis beside a stack's containers, where the stack has its own.
{
  lib,
  stack,
}:
let
  contract = import ../contract.nix;
  inherit (contract) ports;
  inherit (stack) cache database;
  parts = import ./compose-parts.nix { inherit lib; };
  hasOwner = database.owner.role != null;
  # The image's superuser. With two roles nobody but migrations comes as it.
  superuser = if hasOwner then database.owner.role else database.user;
  superuserSecret = if hasOwner then "database_owner_password" else "database_password";
in
lib.optionalAttrs database.enable {
  postgres = parts.server 999 // {
    image = parts.required "POSTGRES_IMAGE" "postgres:17";
    # Every replica's pool at once, with room for people and backups.
    command = [
      "postgres"
      "-c"
      "max_connections=${toString (lib.max 100 (database.connections + 20))}"
    ];
    environment = {
      POSTGRES_DB = database.name;
      POSTGRES_USER = superuser;
      POSTGRES_PASSWORD_FILE = "/run/secrets/${superuserSecret}";
      POSTGRES_INITDB_ARGS = "--data-checksums --auth-host=scram-sha-256";
    };
    secrets = lib.unique [
      superuserSecret
      "database_password"
    ];
    volumes = [
      "postgres:/var/lib/postgresql/data"
    ]
    # Run by itself when the volume is empty.
    ++ lib.optional hasOwner "./roles.sh:/docker-entrypoint-initdb.d/roles.sh:ro";
    tmpfs = [
      "/tmp"
      # By mode, not by owner: that is what both Docker and podman know. There is one user inside.
      "/run/postgresql:mode=1777"
    ];
    shm_size = "256m";
    # A fast shutdown: waiting clients are told, nothing is lost.
    stop_signal = "SIGINT";
    healthcheck = parts.check { } [
      "CMD"
      "pg_isready"
      "--username=${superuser}"
      "--dbname=${database.name}"
    ];
  };
}
// lib.optionalAttrs cache.enable {
  # Keeps nothing: wake-ups and a cache, which may be lost at any time.
  redis = parts.server 999 // {
    image = parts.required "REDIS_IMAGE" "redis:8";
    # The password goes through a file, for a command line is seen by all.
    command = [
      "sh"
      "-c"
      (
        "umask 077 && printf 'requirepass %s\\n' \"$$(cat /run/secrets/redis_password)\" >/tmp/redis.conf && "
        + "exec redis-server /tmp/redis.conf --port ${toString ports.redis} --save '' --appendonly no "
        + "--maxmemory ${toString cache.maxMemoryMiB}mb --maxmemory-policy ${cache.policy}"
      )
    ];
    secrets = [ "redis_password" ];
    tmpfs = [
      "/tmp:mode=1777"
      "/data:mode=1777"
    ];
    healthcheck = parts.check { } [
      "CMD-SHELL"
      "REDISCLI_AUTH=\"$$(cat /run/secrets/redis_password)\" redis-cli -p ${toString ports.redis} ping | grep -q PONG"
    ];
  };
}
