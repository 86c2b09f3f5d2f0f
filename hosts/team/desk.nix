# The team's desk: a page, calendars, notices and the history of shells.
{ lib, pkgs, ... }:
{
  services.slipway.stacks.desk = {
    database.enable = true;

    services = {
      # It keeps files, so no second process may run beside it: it stops for a moment when it changes.
      calendar = {
        package = pkgs.radicale;
        arguments = [
          "--server-hosts=$(HOST):$(PORT)"
          "--auth-type=htpasswd"
          "--auth-htpasswd-filename=$(USERS_FILE)"
          "--auth-htpasswd-encryption=bcrypt"
          "--storage-filesystem-folder=$(STATE_DIRECTORY)"
        ];
        stateDirectory = true;
        listen.port = 5232;
        health.ready.tcp = true;
        secrets.USERS = "/var/lib/secrets/desk-calendar-users";
      };

      # It opens a Unix socket by itself.
      notices = {
        package = pkgs.ntfy-sh;
        arguments = [ "serve" ];
        listen = {
          type = "unix";
          variable = "NTFY_LISTEN_UNIX";
        };
        health.ready.http = "/v1/health";
        environment = {
          NTFY_BASE_URL = "https://notices.example.com";
          NTFY_LISTEN_HTTP = "-";
          NTFY_BEHIND_PROXY = true;
        };
      };

      # It brings its tables along when it starts.
      history = {
        # Not the package's main program.
        command = [
          (lib.getExe' pkgs.atuin "atuin-server")
          "start"
        ];
        listen = {
          port = 8888;
          variable = "ATUIN_PORT";
        };
        health.ready.http = "/healthz";
        environment = {
          ATUIN_CONFIG_DIR = "/tmp";
          ATUIN_DB_URI = "postgres:///desk?host=/run/postgresql&user=desk";
        };
      };
    };

    # The calendars are files: they go to another place with the database.
    backup = {
      paths = [ "/var/lib/desk-calendar" ];
      offsite = {
        repository = "s3:https://s3.example.com/backup-desk";
        passwordFile = "/var/lib/secrets/backup-password";
        environmentFile = "/var/lib/secrets/backup-keys";
      };
    };

    domains = {
      "desk.example.com".routes = {
        "/".static = ./site;
        "/history" = {
          service = "history";
          stripPrefix = true;
        };
      };
      "calendar.example.com".routes = {
        "/".service = "calendar";
        "/.well-known/caldav".redirect = "/";
      };
      # Notices are pushed over connections that stay open.
      "notices.example.com".routes."/" = {
        service = "notices";
        stream = true;
      };
      "www.example.com".routes."/".redirect = "https://desk.example.com/";
    };
  };
}
