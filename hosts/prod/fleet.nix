# The common data of this fleet's hosts: put your own names and addresses here. Only data.
{
  domain = "deploy.example.com";
  # Where people see metrics and alerts.
  monitoring = "monitoring.example.com";
  # The network that the hosts share, and their interface in it.
  interface = "ens10";
  prefixLength = 24;
  addresses = {
    edge = "10.1.0.10";
    app-1 = "10.1.0.11";
    app-2 = "10.1.0.12";
    db = "10.1.0.20";
    monitor = "10.1.0.30";
  };
  apps = [
    "app-1"
    "app-2"
  ];
  # The fleet's own authority, by which its hosts know each other; certificates.sh makes it and what it signs.
  authority = ./certificates/authority.pem;
  certificates = {
    edge = ./certificates/edge.pem;
    app-1 = ./certificates/app-1.pem;
    app-2 = ./certificates/app-2.pem;
    db = ./certificates/db.pem;
    monitor = ./certificates/monitor.pem;
  };
}
