# Accounts and databases that no stack may have: as postgres its processes would be the superuser of every stack's data.
# Only data.
{
  users = [
    "root"
    "nobody"
    "postgres"
    "slipway-backup"
  ];
  databases = [
    "postgres"
    "template0"
    "template1"
  ];
}
