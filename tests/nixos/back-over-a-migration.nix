# A release migrates and then fails: the host goes back to the release before, which runs on the newer schema.
{ self, ... }:
{
  nodes.machine =
    { lib, pkgs, ... }:
    let
      inherit
        (self.lib.mkWorkspace {
          inherit pkgs;
          src = ../../templates/default;
          images = { };
        })
        packages
        ;
      # What the next release's `migrate` does, in the form that sqlx writes.
      migrate = pkgs.writeShellScript "migrate-next" ''
        set -eu
        ${packages.api}/bin/api migrate
        ${pkgs.postgresql_17}/bin/psql "$DATABASE_NAME" --host="$DATABASE_HOST" --set=ON_ERROR_STOP=1 <<SQL
        ALTER TABLE jobs ADD COLUMN priority integer;
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
          VALUES (99990101000000, 'add jobs priority', true, '\x00', 1);
        SQL
      '';
    in
    {
      services.slipway.stacks.jobs = {
        api.package = packages.api;
        worker.package = packages.worker;
        cache.enable = false;
      };
      specialisation.bad.configuration.services.slipway.stacks.jobs = {
        migrations.command = lib.mkForce [ "${migrate}" ];
        api.command = lib.mkForce [ "${pkgs.coreutils}/bin/false" ];
      };
      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
      ];
    };

  testScript = ''
    api = "curl -sf --unix-socket /run/slipway/jobs/api-1.sock"

    def work():
        """A job that a worker does."""
        job = machine.succeed(f"{api} -d hello http://api/api/v1/jobs | jq .id").strip()
        machine.wait_until_succeeds(f"{api} http://api/api/v1/jobs/{job} | grep -q HELLO", timeout=60)

    machine.wait_for_unit("jobs.target")
    machine.wait_until_succeeds(f"{api} http://api/api/v1/monitoring/ready", timeout=60)
    work()
    good = machine.succeed("readlink -e /run/current-system").strip()
    replicas = machine.succeed("systemctl show --property MainPID --value jobs-api-1 jobs-worker-1")

    status, said = machine.execute(f"{good}/specialisation/bad/bin/switch-to-configuration test 2>&1")
    t.assertNotEqual(status, 0)
    t.assertIn("a new api does not become ready", said)
    columns = "runuser -u postgres -- psql jobs -tAc 'SELECT priority FROM jobs LIMIT 1'"
    machine.succeed(columns)
    work()

    status, said = machine.execute(f"{good}/bin/switch-to-configuration test 2>&1")
    t.assertEqual(status, 0, said)
    t.assertEqual(machine.succeed("systemctl --failed --no-legend"), "")
    machine.succeed("systemctl is-active jobs-migrate jobs-roll")
    t.assertEqual(machine.succeed("systemctl show --property MainPID --value jobs-api-1 jobs-worker-1"), replicas)
    machine.succeed(columns)
    work()
  '';
}
