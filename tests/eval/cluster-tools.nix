# A member of a cluster, and what is given to all three.
{ host, lib }:
rec {
  members = {
    ha-1.address = "10.1.0.21";
    ha-2.address = "10.1.0.22";
    ha-3.address = "10.1.0.23";
  };
  secret = name: "/run/secrets/${name}";
  cluster = {
    enable = true;
    inherit members;
    authority = ./cluster.nix;
    certificate = "/run/certificates/member.pem";
    key = secret "key";
    replicationPasswordFile = secret "replication";
    rewindPasswordFile = secret "rewind";
    operatorPasswordFile = secret "operator";
  };
  database = {
    enable = true;
    passwordFile = secret "password";
  };
  # `more` goes over the cluster's options.
  member = name: more: {
    networking.hostName = name;
    services.slipway = {
      cluster = cluster // more;
      network.privateInterface = "ens10";
    };
  };
  shop = {
    services.slipway.stacks.shop = { inherit database; };
  };
  modules = name: more: [
    (member name more)
    shop
  ];
  config = name: more: host (modules name more);
}
