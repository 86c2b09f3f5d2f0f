# What others may do in a stack's database. Two roles without a login have the rights, and an account becomes a member of
# one. So the tables of later migrations are its too, and another right takes the earlier one away.
#
#   give RIGHTS    psql that gives them; the caller adds --set=name=DATABASE --set=owner=OWNER --set=member=ROLE
{ lib, pkgs }:
let
  statements = pkgs.writeText "slipway-database-rights.sql" ''
    \set ON_ERROR_STOP on
    SELECT :'name' || '_read' AS readers, :'name' || '_write' AS writers \gset
    SELECT format('CREATE ROLE %I', wanted) FROM (VALUES (:'readers'), (:'writers')) AS roles (wanted)
      WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
    SELECT format('CREATE ROLE %I LOGIN', :'member')
      WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'member') \gexec
    GRANT CONNECT ON DATABASE :"name" TO :"member";
    SELECT format('REVOKE %I FROM %I', held.rolname, :'member')
      FROM pg_auth_members JOIN pg_roles held ON held.oid = roleid JOIN pg_roles one ON one.oid = member
      WHERE one.rolname = :'member' AND held.rolname IN (:'readers', :'writers')
        AND held.rolname <> :'name' || '_' || :'rights' \gexec
    SELECT format('GRANT %I TO %I', :'name' || '_' || :'rights', :'member') WHERE :'rights' <> 'granted' \gexec
    \connect :"name"
    -- As in setup.sql.
    SET search_path = pg_catalog;
    SET ROLE none;
    SET default_transaction_read_only = off;
    GRANT USAGE ON SCHEMA public TO :"readers", :"writers";
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO :"readers";
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"writers";
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"writers";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO :"readers";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
      GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"writers";
    ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO :"writers";
  '';
in
{
  give =
    rights:
    "psql --dbname=postgres --no-psqlrc --quiet --file=${statements} --set=rights=${lib.escapeShellArg rights}";
}
