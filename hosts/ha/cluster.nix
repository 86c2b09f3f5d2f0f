# The cluster, for its members and for those that use it: put your own names and addresses here. Only data.
{
  name = "main";
  members = {
    ha-1.address = "10.1.0.21";
    ha-2.address = "10.1.0.22";
    ha-3.address = "10.1.0.23";
  };
  # Hosts with programs.
  clients = [
    "10.1.0.11"
    "10.1.0.12"
  ];
  # The cluster's own authority, which signs members and nothing else; certificates.sh makes it.
  authority = ./certificates/authority.pem;
  # Stacks' Redis has replicas on the members as well.
  redis.enable = true;
}
