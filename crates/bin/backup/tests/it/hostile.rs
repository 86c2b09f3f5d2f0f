//! Databases whose owner plants code that a restore or a read would run.

use std::path::PathBuf;

use serde_json::json;

use crate::cluster::{Cluster, archive};

/// A server whose database belongs to the service `app`, and whose backups read as a role without other rights.
pub(crate) fn owned(settings: &str) -> Cluster {
    let mut cluster = Cluster::start_with(settings);
    cluster.sql(
        "postgres",
        "CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN BYPASSRLS; GRANT pg_read_all_data, pg_monitor TO reader;
         ALTER DATABASE shop OWNER TO app",
    );
    cluster.config["database"]["user"] = json!("reader");
    cluster
}

/// A function that makes a file where it may, and says nothing where it may not. Returns the file.
fn plant(cluster: &Cluster, name: &str, first: &str) -> PathBuf {
    let file = cluster.path(name);
    cluster.sql_as(
        "app",
        "shop",
        &format!(
            "CREATE FUNCTION {name}() RETURNS int LANGUAGE plpgsql AS $code$
             BEGIN
               BEGIN {first}; EXCEPTION WHEN OTHERS THEN NULL; END;
               BEGIN COPY (SELECT 1) TO PROGRAM 'touch {}'; EXCEPTION WHEN OTHERS THEN NULL; END;
               RETURN 1;
             END $code$",
            file.display()
        ),
    );
    file
}

fn plant_view(cluster: &Cluster) -> PathBuf {
    let file = plant(cluster, "by_view", "NULL");
    cluster.sql_as(
        "app",
        "shop",
        "CREATE MATERIALIZED VIEW seen AS SELECT public.by_view() AS one",
    );
    file
}

fn plant_check(cluster: &Cluster) -> PathBuf {
    let file = plant(cluster, "by_check", "RESET ROLE; RESET SESSION AUTHORIZATION");
    cluster.sql_as(
        "app",
        "shop",
        "CREATE TABLE checked (n int CHECK (n = public.by_check())); INSERT INTO checked VALUES (1)",
    );
    file
}

/// A cast that turns the rows of a table into text.
fn plant_cast(cluster: &Cluster) -> PathBuf {
    let file = plant(cluster, "by_cast", "RESET ROLE; RESET SESSION AUTHORIZATION");
    cluster.sql_as(
        "app",
        "shop",
        "CREATE TABLE rows (n int); INSERT INTO rows VALUES (1);
         CREATE FUNCTION as_text(public.rows) RETURNS text LANGUAGE plpgsql AS
           $$BEGIN RETURN public.by_cast()::text; END$$;
         CREATE CAST (public.rows AS text) WITH FUNCTION as_text(public.rows)",
    );
    file
}

#[test]
fn a_drill_runs_a_dumps_code_without_rights() {
    let cluster = owned("");
    let files = [plant_view(&cluster), plant_check(&cluster), plant_cast(&cluster)];
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["drill"]);
    let run: Vec<_> = files.iter().filter(|file| file.exists()).collect();
    assert!(run.is_empty(), "{run:?}");
}

#[test]
fn a_drill_says_what_a_dump_was_not_allowed() {
    let cluster = owned("");
    let file = cluster.path("loud");
    cluster.sql_as(
        "app",
        "shop",
        &format!(
            "CREATE FUNCTION loud() RETURNS int LANGUAGE plpgsql AS $code$
             BEGIN
               IF session_user <> 'app' THEN COPY (SELECT 1) TO PROGRAM 'touch {}'; END IF;
               RETURN 1;
             END $code$;
             CREATE MATERIALIZED VIEW seen AS SELECT public.loud() AS one",
            file.display()
        ),
    );
    cluster.good(&["now", "--kind", "dump"]);
    let printed = cluster.bad(&["drill"]);
    assert!(
        printed.contains("does not restore")
            && printed.contains("to COPY to or from an external program")
            && printed.contains("cure: a dump is restored as a role without rights"),
        "{printed}"
    );
    assert!(!file.exists());
}

#[test]
fn a_drill_reads_the_recovered_cluster_without_rights() {
    let mut cluster = owned("archive_mode = on\narchive_timeout = 0\nwal_level = replica");
    archive(&mut cluster);
    cluster.config.as_object_mut().unwrap().remove("dump");
    cluster.sql("postgres", "REVOKE CONNECT ON DATABASE shop FROM PUBLIC");
    cluster.sql_as(
        "app",
        "shop",
        "CREATE TABLE hidden (n int); INSERT INTO hidden VALUES (1);
         ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY",
    );
    let file = plant_cast(&cluster);
    cluster.good(&["prepare"]);
    let printed = cluster.good(&["drill"]);
    assert!(printed.contains("2 tables and 2 rows read"), "{printed}");
    assert!(!file.exists());
}

#[test]
fn a_drill_restores_extensions_and_forced_policies() {
    let mut cluster = owned("");
    // Large objects are not part of pg_read_all_data.
    cluster.config["database"]["user"] = json!("postgres");
    // Not trusted, in a schema of the service, with an event trigger that only a superuser can make.
    cluster.sql_as("app", "shop", "CREATE SCHEMA tools");
    cluster.sql(
        "shop",
        "CREATE EXTENSION pageinspect SCHEMA tools; CREATE EXTENSION hstore; COMMENT ON EXTENSION hstore IS 'ours';
         CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
         CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch();
         COMMENT ON EVENT TRIGGER watching IS 'ours';
         CREATE PUBLICATION everything FOR ALL TABLES",
    );
    cluster.sql_as(
        "app",
        "shop",
        "CREATE TABLE bags (tenant text, bag hstore); INSERT INTO bags VALUES ('a', 'x=>1'), ('b', 'y=>2');
         ALTER TABLE bags ENABLE ROW LEVEL SECURITY; ALTER TABLE bags FORCE ROW LEVEL SECURITY;
         CREATE POLICY mine ON bags USING (tenant = 'a');
         CREATE MATERIALIZED VIEW tenants AS SELECT tenant FROM bags;
         SELECT lo_from_bytea(0, 'large')",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let printed = cluster.good(&["drill"]);
    assert!(printed.contains("1 tables and 2 rows as recorded"), "{printed}");
}
