-- The role of the telemetry, by the superuser: role is a variable of psql. It may read the server's counters.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 3;
ALTER ROLE :"role" SET statement_timeout = '10s';
ALTER ROLE :"role" SET default_transaction_read_only = on;
-- Not pg_monitor, which also shows settings with passwords in them.
GRANT pg_read_all_stats TO :"role";
GRANT EXECUTE ON FUNCTION pg_ls_waldir() TO :"role";
