# A oneshot unit of root's that makes files of credentials in a folder of /run, for several accounts: each of them gets what it
# may read, which a credential of its own unit could not give it while it runs.
#
#   handOn { script = …; folder = "/run/x"; credentials = [ "key:/run/agenix/key" ]; } -> serviceConfig
{
  # What makes the files. It can change their owners.
  script,
  folder,
  # As LoadCredential takes them.
  credentials,
}:
import ./hardening.nix {
  capabilities = [ "CAP_CHOWN" ];
  systemCalls = [ "@chown" ];
}
// {
  Type = "oneshot";
  RemainAfterExit = true;
  ExecStart = script;
  LoadCredential = credentials;
  RuntimeDirectory = baseNameOf folder;
  RuntimeDirectoryMode = "0755";
  RuntimeDirectoryPreserve = true;
  # A mount, or the other file of a pair, may be a moment late.
  Restart = "on-failure";
  RestartSec = 5;
  TimeoutStartSec = 60;
}
