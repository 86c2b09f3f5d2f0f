# The feed reader: Miniflux with its migration and a job at night, hooks that make it fetch, and a place for metrics.
{ pkgs, ... }:
{
  services.slipway.stacks.reader = {
    # Feeds are everywhere.
    allowedAddresses = [ "any" ];
    environment.DATABASE_URL = "host=/run/postgresql user=reader dbname=reader";
    database.enable = true;

    services = {
      # It takes a socket from systemd: requests wait there while it restarts.
      web = {
        package = pkgs.miniflux;
        type = "notify";
        listen.type = "socket";
        health.ready.http = "/healthcheck";
        environment = {
          BASE_URL = "https://reader.example.com";
          CREATE_ADMIN = true;
          ADMIN_USERNAME = "admin";
        };
        secrets.ADMIN_PASSWORD = "/var/lib/secrets/reader-admin-password";
      };

      # It listens at a port: a second process answers while it restarts.
      hooks = {
        package = pkgs.webhook;
        arguments = [
          "-ip=$(HOST)"
          "-port=$(PORT)"
          "-hooks=$(HOOKS_FILE)"
        ];
        # What the hooks run.
        path = [ pkgs.miniflux ];
        listen.port = 9000;
        health.ready.http = "/";
        secrets.HOOKS = "/var/lib/secrets/reader-hooks";
      };

      # No route leads to it: only programs of this host reach it.
      pushgateway = {
        package = pkgs.prometheus-pushgateway;
        arguments = [ "--web.listen-address=$(HOST):$(PORT)" ];
        listen.port = 9091;
        health = {
          ready.http = "/-/ready";
          live.http = "/-/healthy";
        };
      };
    };

    jobs = {
      migrate = {
        package = pkgs.miniflux;
        arguments = [ "-migrate" ];
        before = "start";
      };
      cleanup = {
        package = pkgs.miniflux;
        arguments = [ "-run-cleanup-tasks" ];
        schedule.calendar = "*-*-* 03:15:00";
      };
    };

    backup.offsite = {
      repository = "s3:https://s3.example.com/backup-reader";
      passwordFile = "/var/lib/secrets/backup-password";
      environmentFile = "/var/lib/secrets/backup-keys";
    };

    domains."reader.example.com".routes = {
      "/".service = "web";
      "/hooks".service = "hooks";
    };
  };
}
