# Every contradiction in a stack is refused, by a message that names the option and the cure.
{
  host,
  refused,
  stack,
  lib,
  ...
}:
let
  # The stack with these options is refused with exactly one message, which has all these words.
  says = name: words: modules: {
    inherit name;
    got =
      let
        messages = refused modules;
      in
      if lib.length messages == 1 && lib.all (word: lib.hasInfix word (lib.head messages)) words then
        "refused"
      else
        messages;
    want = "refused";
  };
  at = "services.slipway.stacks.shop";
  # Whose backups have the server's archive, which several stacks share.
  archived.services.slipway.database.archive.stack = "shop";
in
[
  {
    name = "a stack without contradictions";
    got = refused [ (stack { }) ];
    want = [ ];
  }
  (says "a name that is no part of a unit's"
    [
      "services.slipway.stacks.Shop_1"
      "lower-case"
    ]
    [
      (stack { })
      archived
      (
        { config, ... }:
        {
          services.slipway.stacks.Shop_1 = {
            inherit (config.services.slipway.stacks.shop) api worker;
            user = "other";
            group = "other";
            metrics.firstPort = 9400;
          };
        }
      )
    ]
  )
  (says "metrics ports that overlap"
    [
      "services.slipway.stacks.post.metrics.firstPort (9200 to 9327)"
      "services.slipway.stacks.shop.metrics.firstPort"
      "9328"
    ]
    [
      (stack { })
      archived
      (
        { config, ... }:
        {
          services.slipway.stacks.post = {
            api.package = config.services.slipway.packages.slipway-api;
            worker.package = config.services.slipway.packages.slipway-worker;
          };
        }
      )
    ]
  )
  (says "metrics of a stack over the backups'"
    [
      "${at}.metrics.firstPort (9100 to 9227)"
      "${at}.backup.exporter.port (9103)"
      "9228"
    ]
    [ (stack { metrics.firstPort = 9100; }) ]
  )
  (says "metrics of a stack over the database's port"
    [
      "${at}.metrics.firstPort (5400 to 5527)"
      "services.postgresql.settings.port (5432)"
    ]
    [ (stack { metrics.firstPort = 5400; }) ]
  )
  (says "migrations as root"
    [
      "${at}.migrations.user is root"
      "take a user of the stack's own"
    ]
    [ (stack { migrations.user = "root"; }) ]
  )
  (says "migrations as the database's superuser"
    [ "${at}.migrations.user is postgres" ]
    [ (stack { migrations.user = "postgres"; }) ]
  )
  (says "migrations as the account of the backups"
    [ "${at}.migrations.user is slipway-backup" ]
    [ (stack { migrations.user = "slipway-backup"; }) ]
  )
  (says "root"
    [ "${at}.user" ]
    [
      (stack {
        user = "root";
        migrations.user = "shop";
      })
    ]
  )
  (says "less time to stop than to drain"
    [
      "${at}.api.stopSeconds (20)"
      "API_SHUTDOWN_GRACE_SECONDS (30)"
    ]
    [ (stack { api.stopSeconds = 20; }) ]
  )
  (says "a secret in the environment as well"
    [
      "${at}.api.environment"
      "SECRET_KEY"
      "remove it"
    ]
    [
      (stack {
        secrets.SECRET_KEY = "/run/secrets/key";
        api.environment.SECRET_KEY = "0011";
      })
    ]
  )
  (says "a secret that comes twice"
    [
      "${at}.secrets.SECRET_KEY"
      "_FILE"
    ]
    [
      (stack {
        secrets.SECRET_KEY = "/run/secrets/key";
        worker.environment.SECRET_KEY_FILE = "/run/secrets/key";
      })
    ]
  )
  (says "a threshold above the limit"
    [ "${at}.api.limits.memoryHighMiB" ]
    [
      (stack { api.limits.memoryHighMiB = 4096; })
    ]
  )
  {
    name = "a secret in the store is no path of a secret";
    got =
      (builtins.tryEval (
        let
          config = host [ (stack { secrets.SECRET_KEY = "${./default.nix}"; }) ];
        in
        builtins.deepSeq config.systemd.services.shop-api-1.serviceConfig.LoadCredential true
      )).success;
    want = false;
  }
]
