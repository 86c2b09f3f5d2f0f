# What disk-guard.sh of one member gets, as its environment.
{
  member,
  members,
  ports,
  # { authority, certificate, key, data, tags, operatorPassword }; `tags` is a file that Patroni reads beside its configuration.
  files,
  synchronous,
  disk,
  operator,
}:
let
  lib = import ./lib.nix;
in
{
  MEMBER = member;
  URL = lib.https members.${member}.address ports.patroni;
  DATA = files.data;
  TAGS = files.tags;
  LOW_MIB = toString disk.lowMiB;
  INTERVAL = toString disk.interval;
  RETRY = toString disk.retry;
  HOLD = toString disk.hold;
  SYNCHRONOUS = synchronous;
  OPERATOR = operator;
  PASSWORD_FILE = files.operatorPassword;
  AUTHORITY = files.authority;
  CERTIFICATE = files.certificate;
  KEY = files.key;
}
