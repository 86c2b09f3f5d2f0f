# Who can read which file of this folder; `agenix -e NAME.age` here encrypts to them. The keys and the files are examples:
# the private halves were thrown away and the files say "replace me", so nothing here is a secret. README.md says how to
# put your own in their place.
let
  # People: `age-keygen`, or an SSH key.
  operators = [ "age1s6h5jvyul0z7ue8pzwfp6qzu4p2ypnms9sgmt3yf8ny39ylvpq5s3c7qrf" ];

  # Hosts: `ssh-keyscan -t ed25519 HOST`, or the key that was put on the machine before it was installed.
  hosts = {
    edge = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMviJJnrnHKuKQ/cvLSe2o8eY6qhk8KoLhEuflSJHE+h";
    app-1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkeAaFfg3GQYDItsNaMBBqA3emV6Khj4pi9Yf85yxWU";
    app-2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0m9H0XxBVFQakHnjOQkoQ/VrgOaY50d78C8eerwcrh";
    db = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/F4ZjFD7nSNOEHhwjaT6Qbn8wN/oNBt6QifCdQeRl5";
    monitor = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIw1SDiGEmdy4RMGACSi3udLIvAB4H1rdEFsA4GwMtG";
  };

  readableBy = names: { publicKeys = operators ++ map (name: hosts.${name}) names; };
  apps = [
    "app-1"
    "app-2"
  ];
  ofHost =
    name:
    builtins.listToAttrs [
      {
        name = "prod/${name}-key.age";
        value = readableBy [ name ];
      }
      {
        name = "prod/${name}-agent-token.age";
        value = readableBy [ name ];
      }
    ];
in
{
  "prod/slipway-secret-key.age" = readableBy apps;
  "prod/slipway-admin-password.age" = readableBy apps;
  "prod/slipway-database-url.age" = readableBy apps;
  # The app hosts need the passwords alone once a cluster has the data (hosts/ha/client.nix).
  "prod/slipway-database-password.age" = readableBy (apps ++ [ "db" ]);
  # Of the role that migrates, and owns the tables.
  "prod/slipway-database-owner-url.age" = readableBy apps;
  "prod/slipway-database-owner-password.age" = readableBy (apps ++ [ "db" ]);
  "prod/slipway-redis.age" = readableBy (apps ++ [ "db" ]);
  # For the monitoring: who may see it, and how it tells people.
  "prod/monitoring-passwords.age" = readableBy [ "monitor" ];
  "prod/smtp-password.age" = readableBy [ "monitor" ];
  "prod/healthchecks-url.age" = readableBy [ "monitor" ];
  # Of the fleet's own authority: for people only.
  "prod/authority-key.age" = readableBy [ ];
}
// ofHost "edge"
// ofHost "app-1"
// ofHost "app-2"
// ofHost "db"
// ofHost "monitor"
