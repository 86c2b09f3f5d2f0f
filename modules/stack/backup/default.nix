# Backups of a stack's database: dumps, continuous archiving, copies elsewhere, and drills that prove them.
# docs/backup-and-restore.md describes it for people.
{
  imports = [
    ./options.nix
    ./host-options.nix
    ./offsite-options.nix
    ./account.nix
    ./config.nix
    ./archive.nix
    ./units.nix
    ./check.nix
    ./exporter.nix
    ./assertions.nix
  ];
}
