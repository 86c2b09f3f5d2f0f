# sqlx without .sqlx: its macros ask a database with the schema
# build [ w.packages.api w.checks.rust-nextest ]
mk:
mk {
  src = ./.;
  compileServices = [ "postgres" ];
  compileSetup = ''
    psql --quiet "$DATABASE_URL" --file migrations/1_lines.sql
  '';
  services = [ "postgres" ];
}
