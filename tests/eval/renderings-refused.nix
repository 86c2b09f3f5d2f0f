# What compose or Kubernetes cannot do of a stack is refused, with the option and the cure.
{
  lib,
  pkgs,
  standIn,
  ...
}:
let
  inherit (import ./renderings-tools.nix { inherit pkgs standIn; })
    inCompose
    inKubernetes
    hooked
    changed
    timed
    ;

  # What a rendering refuses, with words of the sentence.
  refused = words: rendering: {
    name = "refused: ${toString words}";
    got =
      if lib.any (one: lib.all (word: lib.hasInfix word one) words) rendering.problems then
        "refused"
      else
        rendering.problems;
    want = "refused";
  };
in
[
  (refused [ "openEgress" ] (
    inCompose { } (changed {
      allowedAddresses = [ "10.0.0.0/24" ];
    })
  ))
  (refused [ "the name shop- becomes part" "no `-` last" ] (
    inCompose { name = "shop-"; } (hooked { })
  ))
  (refused [ "SECRET_KEY and secret_key would both be the file secrets/secret_key" ] (
    inCompose { } (hooked {
      secrets = {
        SECRET_KEY = "/run/secrets/key";
        secret_key = "/run/secrets/other";
      };
    })
  ))
  (refused [ "TLS_KEY and tls_key would both be the file secrets/tls_key" ] (
    inCompose { } (hooked {
      secrets.TLS_KEY = "/run/secrets/key";
    })
  ))
  (refused [ "jobs.nightly.schedule.calendar is 25:70" ] (
    inCompose { } (timed {
      schedule.calendar = "25:70";
    })
  ))
  (refused [ "database.of" "services of one stack" ] (
    inCompose { } (changed {
      database.of = "shop";
    })
  ))
  (refused [ "healthchecks.hook is no service" "is hooks meant?" ] (
    inCompose { healthchecks.hook = [ "NONE" ]; } (hooked { })
  ))
  (refused [ "healthchecks.web" ] (inCompose { healthchecks.web = [ "NONE" ]; } (hooked { })))
  (refused [ "images.web" ] (inCompose { images.web = "x"; } (hooked { })))
  (refused [ "nginx" "another name" ] (
    inCompose { } (changed {
      services.nginx.package = standIn "x";
    })
  ))
  (refused [ "services.hooks.listen.port" ] (
    inCompose { } (changed {
      services.hooks.listen = {
        port = null;
        type = "unix";
      };
    })
  ))
  (refused [ "database.extensions" "is for hosts" ] (
    inCompose { } (changed {
      database.extensions = [ "x" ];
    })
  ))
  (refused [ "domains.\"hooks.example.com\".extraConfig" "is for hosts" ] (
    inCompose { } (changed {
      domains."hooks.example.com".extraConfig = "x";
    })
  ))
  (refused [ "hooks" "no Nix store" ] (
    inCompose { } (changed {
      services.hooks.environment.SITE = "${pkgs.path}/x";
    })
  ))
  (refused [ "gateway" "ingress" ] (inKubernetes { gateway = null; } (hooked { })))
  (refused [ "class" "parent" ] (inKubernetes { gateway = { }; } (hooked { })))
  (refused [ "ingress" "namespace" ] (
    inKubernetes {
      gateway = null;
      ingress.class = "nginx";
    } (hooked { })
  ))
  (refused [ "ingress.annotations" "traefik" ] (
    inKubernetes {
      gateway = null;
      ingress = {
        class = "traefik";
        namespace = "traefik";
      };
    } (hooked { })
  ))
  (refused [ "scale" "web" ] (inKubernetes { scale.web.most = 3; } (hooked { })))
  (refused [ "requests names hook," "is hooks meant?" ] (
    inKubernetes { requests.hook.cpus = 1; } (hooked { })
  ))
  (refused [ "requests.hooks is above hooks.limits" ] (
    inKubernetes { requests.hooks.memoryMiB = 4096; } (hooked { })
  ))
  (refused [ "storage" "web" ] (inKubernetes { storage.web.size = "1Gi"; } (hooked { })))
  (refused [ "signalInImage" "web" ] (inKubernetes { signalInImage = [ "web" ]; } (hooked { })))
  (refused [ "services.hooks.stopSignal" "signalInImage" ] (
    inKubernetes { } (changed {
      services.hooks.stopSignal = "SIGINT";
    })
  ))
  (refused [ "services.hooks.writablePaths" ] (
    inKubernetes { } (changed {
      services.hooks.writablePaths = [ "/srv" ];
    })
  ))
  (refused [ "services.hooks.allowedAddresses" "link-local" ] (
    inKubernetes { } (changed {
      services.hooks.allowedAddresses = [ "link-local" ];
    })
  ))
  (refused [ "services.hooks.stateDirectory" "storage.hooks" ] (
    inKubernetes { } (changed {
      services.hooks.stateDirectory = true;
    })
  ))
  (refused [ "database.caFile" "/etc/ca.pem" "./database-ca.pem" ] (
    inCompose { } (changed {
      database = {
        host = "10.9.0.5";
        passwordFile = "/run/secrets/password";
        caFile = "/etc/ca.pem";
      };
    })
  ))
  (refused [ "jobs.nightly.cron is 61 3 * * *" ] (
    inKubernetes { } (timed {
      schedule.calendar = "daily";
      cron = "61 3 * * *";
    })
  ))
  (refused [ "jobs.nightly.cron" "every day" "15 3 * * *" ] (
    inKubernetes { } (timed {
      schedule.calendar = "daily";
      cron = "every day";
    })
  ))
  (refused [ "jobs.nightly.cron" ] (
    inKubernetes { } (timed {
      schedule.calendar = "Mon..Fri *:0/7";
    })
  ))
  (refused [ "proxy" "another name" ] (
    inKubernetes { } (changed {
      services.proxy.package = standIn "x";
    })
  ))
]
