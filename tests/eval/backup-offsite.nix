# Copies that leave the host, as the suites on backups set them.
{
  repository = "s3:https://s3.example.com/backup-shop";
  passwordFile = "/run/secrets/restic-password";
  environmentFile = "/run/secrets/restic-environment";
  configuration = [ "/etc/nixos" ];
}
