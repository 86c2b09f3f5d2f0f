# What the suites on databases share: options of the stack `shop`, of the host's server, and of another stack beside.
{
  host,
  stack,
  standIn,
}:
rec {
  with' = database: [ (stack { inherit database; }) ];
  # The host's server, beside the stack.
  server' = database: { services.slipway.database = database; };
  # The stack on a server with so much memory.
  config = host [
    (stack { })
    (server' { memoryMiB = 4096; })
  ];
  # A database that is used over the network, and a server that listens there.
  network = {
    passwordFile = "/run/secrets/shop-database";
    network = {
      enable = true;
      addresses = [ "10.0.0.0/24" ];
    };
  };
  listening.network = {
    listen = [ "10.0.0.5" ];
    certificateFile = "/run/secrets/db.pem";
    keyFile = "/run/secrets/db.key";
  };
  # Another stack beside, with these options of its database.
  reports = database: {
    services.slipway.stacks.reports = {
      inherit database;
      services.web = {
        package = standIn "reports";
        user = "reports-web";
      };
    };
  };
}
