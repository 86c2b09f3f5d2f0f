//! What a restored dump may do, and what it must bring back.

use std::path::PathBuf;

use crate::cluster::{Cluster, postgres_bin, text};
use crate::hostile::owned;
use crate::kills::{kill, wait_for};

/// Kinds of code that a restore or a read runs, each of which tries to become a superuser and to start a program.
const CODE: &str = "
    CREATE FUNCTION public.evil_now(name text) RETURNS int LANGUAGE plpgsql AS $code$
    BEGIN
      IF session_user = 'app' THEN RETURN 1; END IF;
      BEGIN EXECUTE 'RESET ROLE; RESET SESSION AUTHORIZATION'; EXCEPTION WHEN OTHERS THEN NULL; END;
      BEGIN EXECUTE format('CREATE ROLE %I SUPERUSER LOGIN', 'evil_' || name); EXCEPTION WHEN OTHERS THEN NULL; END;
      BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
      BEGIN EXECUTE 'ALTER ROLE \"slipway-restore\" SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
      BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = public, pg_catalog';
      EXCEPTION WHEN OTHERS THEN NULL; END;
      BEGIN EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'touch FOLDER/' || name);
      EXCEPTION WHEN OTHERS THEN NULL; END;
      RETURN 1;
    END $code$;
    CREATE FUNCTION public.evil(name text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
      $$BEGIN RETURN public.evil_now(name); END$$;
    CREATE TABLE checked (n int CHECK (public.evil('check') = n)); INSERT INTO checked VALUES (1);
    CREATE TABLE generated (n int, m int GENERATED ALWAYS AS (n + public.evil('generated')) STORED);
    INSERT INTO generated VALUES (1);
    CREATE TABLE indexed (n int); INSERT INTO indexed VALUES (1);
    CREATE INDEX ON indexed ((n + public.evil('index')));
    CREATE TABLE planned (n int); INSERT INTO planned VALUES (1);
    CREATE INDEX ON planned (n) WHERE public.evil('plan') = 1;
    CREATE DOMAIN odd AS int CHECK (public.evil('domain') = VALUE);
    CREATE TABLE domains (n odd); INSERT INTO domains VALUES (1);
    CREATE MATERIALIZED VIEW seen AS SELECT public.evil('view') AS n;
    CREATE TABLE ranged (n int) PARTITION BY LIST ((n + public.evil('partition')));
    CREATE TABLE ranged_1 PARTITION OF ranged FOR VALUES IN (2); INSERT INTO ranged VALUES (1);
    CREATE TABLE cast_rows (n int); INSERT INTO cast_rows VALUES (1);
    CREATE FUNCTION as_text(public.cast_rows) RETURNS text LANGUAGE plpgsql AS
      $$BEGIN PERFORM public.evil('cast'); RETURN 'x'; END$$;
    CREATE CAST (public.cast_rows AS text) WITH FUNCTION as_text(public.cast_rows);
    CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM public.evil('trigger'); RETURN NEW; END$$;
    CREATE TABLE triggered (n int DEFAULT public.evil('default'));
    CREATE TRIGGER trapped BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION public.trap();
    INSERT INTO triggered VALUES (1);";

/// Operators that sessions in the database use where its owner chooses their search path.
const OPERATORS: &str = "
    CREATE FUNCTION public.never(name, name) RETURNS bool LANGUAGE plpgsql AS
      $$BEGIN PERFORM public.evil('operator'); RETURN $1 OPERATOR(pg_catalog.=) $2; END$$;
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.never);
    ALTER DATABASE shop SET search_path = public, pg_catalog;";

/// The superusers, and what a program started by the dump's code has left.
fn caught(cluster: &Cluster) -> (String, Vec<PathBuf>) {
    let superusers = cluster.sql(
        "postgres",
        "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolsuper",
    );
    let left = std::fs::read_dir(cluster.path("left")).unwrap();
    (superusers, left.map(|entry| entry.unwrap().path()).collect())
}

#[test]
fn a_restore_runs_a_dumps_code_without_rights() {
    let cluster = owned("");
    let folder = cluster.make_folder("left");
    cluster.sql_as(
        "app",
        "shop",
        &CODE.replace("FOLDER", &folder.display().to_string()),
    );
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["drill"]);
    cluster.good(&["restore", "--dump", "latest", "--into", "back"]);
    cluster.good(&["restore", "--dump", "latest", "--swap"]);
    assert_eq!(caught(&cluster), ("postgres".to_owned(), Vec::new()));
    assert_eq!(
        cluster.sql(
            "postgres",
            "SELECT count(*) FROM pg_roles WHERE rolname = 'slipway-restore'"
        ),
        "0"
    );
    assert_eq!(
        cluster.sql(
            "back",
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ),
        "app"
    );
}

#[test]
fn a_dump_is_read_with_the_servers_own_operators() {
    let cluster = owned("");
    // The reader may write nowhere: what it has run it says in an error.
    cluster.sql_as(
        "app",
        "shop",
        "CREATE FUNCTION public.evil_now(name text) RETURNS int LANGUAGE plpgsql AS
           $$BEGIN RAISE '% was run as %', name, session_user; END$$;
         CREATE FUNCTION public.evil(name text) RETURNS int LANGUAGE sql AS 'SELECT public.evil_now($1)'",
    );
    cluster.sql_as("app", "shop", OPERATORS);
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["drill"]);
    cluster.good(&["restore", "--dump", "latest", "--into", "back"]);
}

/// Everything that a dump can say of a database, as text.
fn described(cluster: &Cluster, database: &str) -> String {
    let output = cluster
        .command(&postgres_bin().join("pg_dump"))
        .args(["--username=postgres", "--host"])
        .arg(cluster.folder.path())
        .arg(database)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    // A word of psql that is new in each dump.
    let kept = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    text.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

const RICH: &str = "
    CREATE ROLE other; CREATE ROLE visitor; CREATE ROLE keeper;
    CREATE SCHEMA tools AUTHORIZATION app; CREATE SCHEMA \"Odd; schema\" AUTHORIZATION other;
    GRANT USAGE, CREATE ON SCHEMA public, \"Odd; schema\" TO app, other; GRANT USAGE ON SCHEMA tools TO visitor;
    CREATE EXTENSION hstore SCHEMA tools; CREATE EXTENSION pageinspect; CREATE EXTENSION postgres_fdw;
    COMMENT ON EXTENSION hstore IS 'ours';
    CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere');
    GRANT USAGE ON FOREIGN SERVER away TO app; COMMENT ON SERVER away IS 'far';
    CREATE USER MAPPING FOR app SERVER away OPTIONS (user 'u', password 'p');
    SET SESSION AUTHORIZATION app;
    CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN small AS int CHECK (VALUE < 10);
    CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old serial, name text NOT NULL,
                            how mood DEFAULT 'good', bag tools.hstore, size small, both_of pair,
                            folded text GENERATED ALWAYS AS (lower(name)) STORED,
                            status varchar(9) CHECK (status IN ('new', 'old')));
    INSERT INTO customers (name, bag, size, both_of, status) SELECT 'n' || n, 'x=>1'::tools.hstore, 3, '(1,y)'::pair, 'new' FROM generate_series(1, 9) n;
    CREATE INDEX ON customers (lower(name)); CREATE STATISTICS stats ON name, how FROM customers;
    COMMENT ON TABLE customers IS 'all of them'; COMMENT ON COLUMN customers.name IS 'as written';
    ALTER TABLE customers ENABLE ROW LEVEL SECURITY; ALTER TABLE customers FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON customers TO visitor USING (name = current_user);
    GRANT SELECT (id, name) ON customers TO visitor; GRANT UPDATE ON customers TO visitor WITH GRANT OPTION;
    SET ROLE app; RESET ROLE;
    CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
    REVOKE ALL ON FUNCTION add FROM PUBLIC; GRANT EXECUTE ON FUNCTION add TO visitor;
    CREATE PROCEDURE work(a text) LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '5MB' AS 'BEGIN NULL; END';
    CREATE AGGREGATE total (int) (SFUNC = add, STYPE = int, INITCOND = '0');
    CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = add);
    CREATE COLLATION sorted FROM \"C\"; CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
    CREATE VIEW names AS SELECT id, name FROM customers; GRANT SELECT ON names TO visitor;
    CREATE RULE nothing AS ON DELETE TO names DO INSTEAD NOTHING;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM customers;
    CREATE TABLE parent (at date, n int) PARTITION BY RANGE (at);
    CREATE TABLE child PARTITION OF parent FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
    CREATE TABLE heir (more text) INHERITS (customers);
    CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touching BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touched();
    ALTER TABLE customers DISABLE TRIGGER touching;
    CREATE FOREIGN TABLE there (n int) SERVER away;
    CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE sql AS 'SELECT ROW(1, $1)::public.pair';
    CREATE CAST (text AS pair) WITH FUNCTION to_pair(text);
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO visitor;
    SELECT lo_from_bytea(4711, 'large'); GRANT SELECT ON LARGE OBJECT 4711 TO visitor; COMMENT ON LARGE OBJECT 4711 IS 'big';
    SET SESSION AUTHORIZATION other;
    CREATE TABLE \"Odd; schema\".\"a \"\"t;able\" (x int REFERENCES public.customers DEFERRABLE);
    RESET SESSION AUTHORIZATION;
    CREATE SEQUENCE \"Odd; schema\".steps OWNED BY NONE; ALTER SEQUENCE \"Odd; schema\".steps OWNER TO other;
    CREATE PUBLICATION everything FOR ALL TABLES; COMMENT ON PUBLICATION everything IS 'all';
    CREATE PUBLICATION parents FOR TABLE public.parent; ALTER PUBLICATION parents OWNER TO app;
    CREATE TABLE audit (what text); INSERT INTO audit VALUES ('kept'); GRANT INSERT ON audit TO app;
    CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN NULL; END';
    CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch(); COMMENT ON EVENT TRIGGER watching IS 'ours';
    CREATE EVENT TRIGGER second ON sql_drop EXECUTE FUNCTION watch(); ALTER EVENT TRIGGER second DISABLE;";

/// For `other`'s table to name `customers`.
const BEFORE_RICH: &str = "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT REFERENCES ON TABLES TO PUBLIC";

#[test]
fn what_is_restored_is_what_was_there() {
    let mut cluster = owned("wal_level = logical");
    // Large objects are not part of pg_read_all_data.
    cluster.config["database"]["user"] = serde_json::json!("postgres");
    cluster.sql("shop", BEFORE_RICH);
    cluster.sql("shop", RICH);
    // Text that Postgres writes another way once it has read it is settled by a first round.
    let rounds = ["one", "two"].map(|name| {
        cluster.good(&["now", "--kind", "dump"]);
        cluster.good(&["restore", "--dump", "latest", "--into", name]);
        let text = described(&cluster, name);
        cluster.good(&["restore", "--dump", "latest", "--swap"]);
        text
    });
    let before = described(&cluster, "shop");
    similar(&rounds[0], &rounds[1]);
    similar(&before, &rounds[1]);
    assert_eq!(
        cluster.sql(
            "postgres",
            "SELECT DISTINCT rolname FROM pg_database d JOIN pg_roles r ON r.oid = datdba
                                 WHERE datname IN ('shop', 'one', 'two')"
        ),
        "app"
    );
    for database in ["shop", "one", "two"] {
        let state = cluster.sql(
            "postgres",
            &format!("SELECT datconnlimit, datacl IS NULL OR datacl::text LIKE '%=Tc/%' FROM pg_database WHERE datname = '{database}'"),
        );
        assert_eq!(state, "-1|t", "{database}");
    }
}

/// Code of one owner that changes what belongs to another, while one role restores both.
const TAMPERING: &str = "
    CREATE FUNCTION public.tamper(n int) RETURNS bool LANGUAGE plpgsql AS $code$
    BEGIN
      -- Other sessions of the restore fill the table, and empty it before: so not before its rows are there.
      FOR n IN 1..100 LOOP
        EXIT WHEN session_user = 'app';
        BEGIN PERFORM 1 / count(*) FROM public.admins; STATEMENT; EXIT; EXCEPTION WHEN OTHERS THEN PERFORM pg_sleep(0.1); END;
      END LOOP;
      RETURN true;
    END $code$;
    CREATE FUNCTION public.quiet(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.tamper(n); END';
    CREATE TABLE tampering (n int); INSERT INTO tampering VALUES (1); CREATE INDEX ON tampering (public.quiet(n));";

#[test]
fn the_code_of_one_owner_does_not_change_what_is_anothers() {
    for (statement, expected) in [
        (
            "CREATE OR REPLACE FUNCTION public.guarded() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 2''",
            "FUNCTION public guarded() is not as it was",
        ),
        (
            "CREATE TRIGGER planted BEFORE INSERT ON public.admins FOR EACH ROW WHEN (false) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "TRIGGER public admins planted was not there",
        ),
        (
            "GRANT ALL ON public.admins TO app",
            "ACL public TABLE admins was not there",
        ),
        ("INSERT INTO public.admins VALUES (''app'')", "rows instead of 1"),
    ] {
        let cluster = owned("");
        cluster.sql(
            "shop",
            "CREATE FUNCTION guarded() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             CREATE TABLE admins (name text); INSERT INTO admins VALUES ('root')",
        );
        let statement = format!("EXECUTE '{statement}'");
        cluster.sql_as("app", "shop", &TAMPERING.replace("STATEMENT", &statement));
        cluster.good(&["now", "--kind", "dump"]);
        let restored = cluster.backup(&["restore", "--dump", "latest", "--into", "back"]);
        let printed = text(&restored);
        assert!(
            !restored.status.success() && printed.contains(expected),
            "{expected}: {printed}"
        );
        let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'back%'";
        assert_eq!(cluster.sql("postgres", left), "0");
    }
}

#[test]
fn what_needs_more_rights_is_refused_and_nothing_stays() {
    let cluster = owned("");
    cluster.sql(
        "shop",
        "CREATE FUNCTION lower_c(text) RETURNS text LANGUAGE internal AS 'lower'; ALTER FUNCTION lower_c OWNER TO app",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let printed = cluster.bad(&["restore", "--dump", "latest"]);
    assert!(
        printed.contains("permission denied for language internal")
            && printed.contains("cure: a dump is restored as a role without rights"),
        "{printed}"
    );
    assert_eq!(cluster.sql("postgres", LEFT), "0|0");
    assert!(!cluster.path("state/restore").exists());
}

#[test]
fn an_owner_that_is_not_there_is_named() {
    let cluster = owned("");
    cluster.sql(
        "shop",
        "CREATE ROLE gone; CREATE TABLE old (n int); ALTER TABLE old OWNER TO gone",
    );
    cluster.good(&["now", "--kind", "dump"]);
    cluster.sql("shop", "DROP OWNED BY gone; DROP ROLE gone");
    let printed = cluster.bad(&["restore", "--dump", "latest"]);
    assert!(
        printed.contains("not in the server: gone") && printed.contains("CREATE ROLE"),
        "{printed}"
    );
    assert_eq!(cluster.sql("postgres", LEFT), "0|0");
}

/// Roles and databases of unfinished restores.
const LEFT: &str = "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'slipway-restore'),
                           (SELECT count(*) FROM pg_database WHERE datname LIKE '%_unfinished')";

#[test]
fn the_role_of_a_killed_restore_goes_with_the_next_one() {
    let cluster = owned("");
    cluster.sql_as(
        "app",
        "shop",
        "CREATE TABLE bulk AS SELECT n, md5(n::text) AS x FROM generate_series(1, 300000) n; CREATE INDEX ON bulk (x)",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let mut run = cluster
        .backup_command(&["restore", "--dump", "latest", "--into", "one"])
        .spawn()
        .unwrap();
    wait_for(
        &cluster,
        "the restore",
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'slipway-restore' AND query LIKE '%bulk%'",
    );
    kill(&mut run);
    assert_eq!(cluster.sql("postgres", LEFT), "1|1");
    // Its password is good for the time of the restore only, and nobody knows it.
    assert_eq!(
        cluster.sql(
            "postgres",
            "SELECT rolvaliduntil < now() + interval '25 h' FROM pg_roles WHERE rolname = 'slipway-restore'"
        ),
        "t"
    );
    cluster.good(&["restore", "--dump", "latest", "--into", "two"]);
    assert_eq!(cluster.sql("postgres", LEFT), "0|0");
    assert_eq!(cluster.sql("two", "SELECT count(*) FROM bulk"), "300000");
}

#[test]
fn the_role_logs_in_with_its_password_and_a_server_that_refuses_it_is_named() {
    let cluster = owned("log_statement = all\nlog_min_duration_statement = 0");
    cluster.sql_as("app", "shop", "CREATE TABLE one (n int)");
    cluster.good(&["now", "--kind", "dump"]);
    let access = cluster.path("data/pg_hba.conf");
    let set = |lines: &str| {
        std::fs::write(&access, lines).unwrap();
        cluster.sql("postgres", "SELECT pg_reload_conf()");
    };
    set("local all \"slipway-restore\" reject\nlocal all all trust\n");
    let printed = cluster.bad(&["restore", "--dump", "latest"]);
    assert!(
        printed.contains("pg_hba.conf") && printed.contains("local all \"slipway-restore\" peer"),
        "{printed}"
    );
    assert_eq!(cluster.sql("postgres", LEFT), "0|0");
    set("local all \"slipway-restore\" scram-sha-256\nlocal all all trust\n");
    cluster.good(&["restore", "--dump", "latest"]);
    let log = std::fs::read_to_string(cluster.path("server.log")).unwrap();
    assert!(
        log.contains("CREATE DATABASE") && !log.contains("PASSWORD '"),
        "{log}"
    );
}

/// Fails with the first lines that differ.
fn similar(one: &str, other: &str) {
    let differing: Vec<_> = one
        .lines()
        .zip(other.lines())
        .filter(|(a, b)| a != b)
        .take(6)
        .collect();
    assert!(
        differing.is_empty() && one.lines().count() == other.lines().count(),
        "{differing:#?}"
    );
}
