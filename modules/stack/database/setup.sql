-- The stack's role and database, by the superuser: role, owner and name are variables of psql.
\set ON_ERROR_STOP on
SELECT DISTINCT format('CREATE ROLE %I LOGIN', wanted) FROM (VALUES (:'role'), (:'owner')) AS roles (wanted)
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'owner')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'name', :'owner')
  WHERE NOT EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
                    WHERE d.datname = :'name' AND r.rolname = :'owner') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"role";
\connect :"name"
-- Its owner says what sessions in it begin with. Functions and operators of its own would be run by the superuser here.
SET search_path = pg_catalog;
SET ROLE none;
SET default_transaction_read_only = off;
-- The processes' role owned the tables before. Both in one transaction: processes that run lose nothing in between,
-- and the next migration takes away what they do not need.
SELECT format('REASSIGN OWNED BY %I TO %I; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %1$I; '
              'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %1$I', :'role', :'owner')
  WHERE :'role' <> :'owner' AND EXISTS (SELECT FROM pg_class WHERE pg_get_userbyid(relowner) = :'role') \gexec
CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public;
