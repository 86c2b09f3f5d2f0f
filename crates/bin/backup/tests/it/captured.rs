//! What the code of a captured service could try while its dump is restored, and what it may not leave behind.

use crate::cluster::Cluster;
use crate::hostile::owned;

/// Roles and databases of unfinished restores.
const LEFT: &str = "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'slipway-restore' AND rolcanlogin),
                           (SELECT count(*) FROM pg_database WHERE datname LIKE '%_unfinished')";

/// A function that runs `statement` in a restore or in the server's own upkeep, and never in a session of the service. An
/// index calls it.
fn plant(cluster: &Cluster, statement: &str) {
    cluster.sql_as(
        "app",
        "shop",
        &format!(
            "CREATE FUNCTION public.planted(n int) RETURNS bool LANGUAGE plpgsql AS $code$
             BEGIN
               IF session_user <> 'app' THEN {statement}; END IF;
               RETURN true;
             EXCEPTION WHEN OTHERS THEN RETURN true;
             END $code$;
             CREATE FUNCTION public.quiet(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
               'BEGIN RETURN public.planted(n); END';
             CREATE TABLE planting (n int); INSERT INTO planting VALUES (1);
             CREATE INDEX ON planting (public.quiet(n))"
        ),
    );
}

#[test]
fn a_dump_without_a_live_database_gives_the_server_nothing_of_its_code() {
    let cluster = owned("");
    plant(
        &cluster,
        "CREATE FUNCTION public.rising() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user'",
    );
    cluster.good(&["now", "--kind", "dump"]);
    cluster.sql("postgres", "DROP DATABASE shop");
    let printed = cluster.bad(&["restore", "--dump", "latest", "--into", "shop"]);
    assert!(
        printed.contains("FUNCTION public rising() was not there"),
        "{printed}"
    );
    assert_eq!(cluster.sql("postgres", LEFT), "0|0");
}

#[test]
fn the_code_of_others_does_not_change_what_is_the_owners() {
    let cluster = owned("");
    cluster.sql(
        "shop",
        "ALTER DATABASE shop OWNER TO postgres; GRANT CREATE ON SCHEMA public TO app;
         CREATE FUNCTION guarded() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT session_user'",
    );
    plant(
        &cluster,
        "CREATE OR REPLACE FUNCTION public.guarded() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user'",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let printed = cluster.bad(&["restore", "--dump", "latest", "--into", "back"]);
    assert!(
        printed.contains("FUNCTION public guarded() is not as it was"),
        "{printed}"
    );
}

#[test]
fn an_extension_is_the_servers_and_hides_nothing() {
    let cluster = owned("");
    cluster.sql(
        "shop",
        "ALTER DATABASE shop OWNER TO postgres; GRANT CREATE ON SCHEMA public TO app;
         CREATE SCHEMA tools; CREATE EXTENSION hstore SCHEMA tools",
    );
    plant(
        &cluster,
        "DROP SCHEMA tools CASCADE; CREATE SCHEMA tools; CREATE EXTENSION hstore SCHEMA tools;
         CREATE FUNCTION tools.rising() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user';
         ALTER EXTENSION hstore ADD FUNCTION tools.rising()",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let printed = cluster.bad(&["restore", "--dump", "latest", "--into", "back"]);
    assert!(printed.contains("EXTENSION hstore"), "{printed}");
}

#[test]
fn the_servers_own_upkeep_runs_no_code_that_writes_once_the_dump_is_compared() {
    let cluster = owned("autovacuum_naptime = 1\nlog_autovacuum_min_duration = 0");
    cluster.sql(
        "shop",
        "ALTER DATABASE shop OWNER TO postgres; GRANT CREATE ON SCHEMA public TO app",
    );
    // An autovacuum worker computes the index' values, in a session of the superuser's. It waits until it is asked to give way,
    // which is when owners are set.
    cluster.sql_as(
        "app",
        "shop",
        "CREATE FUNCTION public.planted(n int) RETURNS int LANGUAGE plpgsql AS $code$
         BEGIN
           IF n = 1 AND session_user = 'postgres' AND current_database() <> 'shop' THEN
             PERFORM pg_advisory_lock(4711);
             BEGIN PERFORM pg_sleep(30); EXCEPTION WHEN query_canceled THEN NULL; END;
             BEGIN
               CREATE FUNCTION public.rising() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user';
             EXCEPTION WHEN OTHERS THEN NULL; END;
           END IF;
           RETURN n;
         END $code$;
         CREATE FUNCTION public.quiet(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
           'BEGIN RETURN public.planted(n); END';
         CREATE FUNCTION public.slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $code$
         BEGIN
           FOR look IN 1..300 LOOP
             EXIT WHEN session_user = 'app' OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711);
             PERFORM pg_sleep(0.1);
           END LOOP;
           RETURN n;
         END $code$;
         CREATE TABLE a_large (n int); INSERT INTO a_large SELECT generate_series(1, 1000);
         CREATE INDEX ON a_large (public.quiet(n));
         CREATE TABLE z_slow (n int); INSERT INTO z_slow VALUES (1); CREATE INDEX ON z_slow (public.slow(n))",
    );
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["restore", "--dump", "latest", "--into", "back"]);
    let risen = "SELECT count(*) FROM pg_proc WHERE proname = 'rising'";
    assert_eq!(cluster.sql("back", risen), "0");
}

#[test]
fn a_restored_database_has_only_what_the_restore_gave_it() {
    let cluster = owned("");
    plant(
        &cluster,
        "EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true', current_database());
         EXECUTE format('GRANT ALL ON DATABASE %I TO reader', current_database())",
    );
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["restore", "--dump", "latest", "--into", "back"]);
    let state = "SELECT datistemplate, datallowconn, datconnlimit, datacl::text LIKE '%reader%', setconfig IS NULL
                 FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = 'back'";
    assert_eq!(cluster.sql("postgres", state), "f|t|-1|f|t");
}

#[test]
fn what_code_does_to_its_database_does_not_stop_the_next_restore() {
    let cluster = owned("");
    cluster.sql_as("app", "shop", "CREATE TABLE one (n int)");
    cluster.good(&["now", "--kind", "dump"]);
    cluster.sql(
        "postgres",
        "CREATE ROLE \"slipway-restore\" LOGIN; ALTER ROLE \"slipway-restore\" SET work_mem = '5MB'",
    );
    // Another stack's, whose restore was killed.
    cluster.sql(
        "postgres",
        "CREATE DATABASE wiki_unfinished OWNER \"slipway-restore\" IS_TEMPLATE true",
    );
    // A live service may give rights to any role.
    cluster.sql_as("app", "shop", "GRANT SELECT ON one TO \"slipway-restore\"");
    for name in ["back", "again"] {
        cluster.good(&["restore", "--dump", "latest", "--into", name]);
        assert_eq!(cluster.sql("postgres", LEFT), "0|0");
    }
    let settings = "SELECT count(*) FROM pg_db_role_setting WHERE setrole <> 0";
    assert_eq!(cluster.sql("postgres", settings), "0");
}
