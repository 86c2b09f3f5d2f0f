# Three hosts with Postgres: writes go on when the leader's host is cut off power, no acknowledged one is lost, and the host
# comes back.
{ pkgs, lib, ... }:
let
  # In the order of their names, after `app`.
  members = {
    ha1.address = "192.168.1.2";
    ha2.address = "192.168.1.3";
    ha3.address = "192.168.1.4";
  };
  # Made in the build, so the keys are no secrets; the hosts copy them out of the store, as agenix would write them.
  certificates = pkgs.runCommand "cluster-certificates" { nativeBuildInputs = [ pkgs.openssl ]; } (
    ''
      mkdir $out && cd $out
      new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 "$@"; }
      new -keyout authority.key -out authority.pem -subj /CN=test -addext basicConstraints=critical,CA:TRUE
    ''
    + lib.concatLines (
      lib.mapAttrsToList (
        name: member:
        "new -keyout ${name}.key -out ${name}.pem -subj /CN=${name} -CA authority.pem -CAkey authority.key -addext subjectAltName=DNS:main.cluster.internal,IP:${member.address} -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth"
      ) members
    )
  );
  secrets = "/var/lib/secrets";
  common = {
    enable = true;
    inherit members;
    authority = "${certificates}/authority.pem";
  };
  member = name: {
    networking.firewall.enable = true;
    networking.nftables.enable = true;
    systemd.tmpfiles.rules = [
      "d ${secrets} 0700"
      "C ${secrets}/key 0400 root root - ${certificates}/${name}.key"
      "f ${secrets}/replication 0400 root root - of-copies"
      "f ${secrets}/rewind 0400 root root - of-rewinding"
      "f ${secrets}/operator 0400 root root - of-operators"
      "f ${secrets}/shop 0400 root root - of-the-shop"
    ];
    services.slipway = {
      network.privateInterface = "eth1";
      cluster = common // {
        clients = [ "192.168.1.1" ];
        certificate = "${certificates}/${name}.pem";
        key = "${secrets}/key";
        replicationPasswordFile = "${secrets}/replication";
        rewindPasswordFile = "${secrets}/rewind";
        operatorPasswordFile = "${secrets}/operator";
      };
      stacks.shop.database = {
        enable = true;
        passwordFile = "${secrets}/shop";
      };
      database.memoryMiB = 256;
    };
  };
in
{
  nodes = lib.mapAttrs (name: _: member name) members // {
    app = {
      environment.systemPackages = [ pkgs.postgresql_17 ];
      services.slipway.cluster = common // {
        role = "client";
      };
    };
  };

  testScript = ''
    import re

    members = [ha1, ha2, ha3]
    address = "host=main.cluster.internal user=shop dbname=shop sslmode=verify-full sslrootcert=${certificates}/authority.pem connect_timeout=2"
    written = 0

    def leader(among):
        status = among[0].wait_until_succeeds("slipway-cluster status | grep -P '\tleader\trunning'", timeout=120)
        return status.split()[0]

    def write():
        global written
        app.wait_until_succeeds(
            f"PGPASSWORD=of-the-shop psql '{address} port=15432' -c 'INSERT INTO numbers VALUES ({written})'", timeout=60
        )
        written += 1

    def read(port):
        return int(app.succeed(f"PGPASSWORD=of-the-shop psql '{address} port={port}' -tAc 'SELECT count(*) FROM numbers'"))

    start_all()
    with subtest("three hosts become a cluster"):
        for member in members:
            member.wait_until_succeeds("slipway-cluster check", timeout=180)
        ha1.wait_until_succeeds("slipway-cluster status | grep -q sync_standby", timeout=60)
        app.wait_until_succeeds(
            f"PGPASSWORD=of-the-shop psql '{address} port=15432' -c 'CREATE TABLE numbers (n int PRIMARY KEY)'", timeout=60
        )
        for _ in range(20):
            write()
        t.assertEqual(read(15432), 20)

    with subtest("nobody without the password, and nobody in the clear"):
        app.fail(f"PGPASSWORD=wrong psql '{address} port=15432' -c 'SELECT 1'")
        app.fail("PGPASSWORD=of-the-shop psql 'host=main.cluster.internal user=shop dbname=shop sslmode=disable port=15432' -c 'SELECT 1'")
        t.assertIn("2379", ha1.succeed("ss -ltn"))
        app.fail("timeout 5 bash -c '</dev/tcp/ha1/2379'")

    with subtest("the leader's host loses power"):
        first = leader(members)
        lost = next(member for member in members if member.name == first)
        rest = [member for member in members if member is not lost]
        lost.crash()
        for _ in range(20):
            write()
        t.assertNotEqual(leader(rest), first)
        t.assertEqual(read(15432), 40)

    with subtest("it comes back as a standby"):
        lost.start()
        lost.wait_until_succeeds(f"slipway-cluster status | grep -P '^{first}\t(sync_standby|replica)\t(streaming|running)'", timeout=180)
        app.wait_until_succeeds(
            f"test $(PGPASSWORD=of-the-shop psql '{address} port=15433' -tAc 'SELECT count(*) FROM numbers') = 40", timeout=60
        )

    with subtest("a member steps aside and comes back"):
        now = next(member for member in members if member.name == leader(members))
        now.succeed("slipway-cluster step-aside 120")
        t.assertNotEqual(leader(members), now.name)
        other = next(member for member in members if member is not now)
        refused = other.fail("slipway-cluster step-aside 5 2>&1")
        assert re.search(f"{now.name}.* is about to go", refused), refused
        write()
        now.succeed("slipway-cluster come-back 120")
  '';
}
