-- A role of the cluster, by the superuser. login, kind and the file with its password are variables of psql.
\set ON_ERROR_STOP on
-- No standby may be there yet, and without these roles none will be.
SET synchronous_commit = local;
-- The password is neither in a log nor in pg_stat_statements.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SELECT set_config('pg_stat_statements.track', 'none', false) \g /dev/null
SELECT format('CREATE ROLE %I', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \gexec
\setenv FILE :file
\set password `cat "$FILE"`
ALTER ROLE :"login" LOGIN PASSWORD :'password';
SELECT format('ALTER ROLE %I REPLICATION', :'login') WHERE :'kind' = 'replication' \gexec
-- What pg_rewind reads of the leader.
SELECT format('GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %I', wanted, :'login')
  FROM (VALUES ('pg_ls_dir(text, boolean, boolean)'), ('pg_stat_file(text, boolean)'), ('pg_read_binary_file(text)'),
               ('pg_read_binary_file(text, bigint, bigint, boolean)')) AS functions (wanted)
  WHERE :'kind' = 'rewind' \gexec
