# The sandbox of a unit: everything that systemd can take away, taken away. What a unit needs beyond that it asks for by
# name, with its reason beside the call.
#
#   hardening { addresses = [ "localhost" ]; } -> serviceConfig
{
  # Networks that the unit may talk to, as IPAddressAllow takes them. [ ] leaves it Unix sockets only; "any" is all.
  addresses ? [ ],
  # The unit runs as root and keeps these capabilities: for what looks after the machine itself.
  capabilities ? null,
  # Folders that the unit may write, besides its StateDirectory and the like.
  writable ? [ ],
  # System calls, or groups of them, beyond @system-service without @privileged and @resources.
  systemCalls ? [ ],
  # Whether the unit may see /proc/stat, /proc/meminfo and the like besides processes of its own user.
  kernelFacts ? false,
  # Whether the unit may see the processes of other users.
  otherProcesses ? false,
}:
let
  network = addresses != [ ];
  root = capabilities != null;
in
{
  # Files. ProtectSystem leaves nothing writable but /dev, /proc and /sys, which the others close.
  ProtectSystem = "strict";
  ProtectHome = true;
  PrivateTmp = true;
  PrivateDevices = true;
  DevicePolicy = "closed";
  ReadWritePaths = writable;
  UMask = "0077";
  RemoveIPC = true;

  # Privileges.
  NoNewPrivileges = true;
  # An empty list would be no line at all, and leave every capability.
  CapabilityBoundingSet = if root && capabilities != [ ] then capabilities else "";
  AmbientCapabilities = "";
  # Root inside such a namespace would not be root outside.
  PrivateUsers = !root;
  RestrictSUIDSGID = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  RestrictRealtime = true;
  RestrictNamespaces = true;
  KeyringMode = "private";
  # A dump would hold every secret of the process.
  LimitCORE = 0;

  # The kernel and the rest of the machine.
  ProtectKernelTunables = true;
  ProtectKernelModules = true;
  ProtectKernelLogs = true;
  ProtectControlGroups = true;
  ProtectClock = true;
  ProtectHostname = true;
  PrivateIPC = true;
  ProtectProc = if otherProcesses then "default" else "invisible";
  ProcSubset = if kernelFacts || otherProcesses then "all" else "pid";

  # System calls. A forbidden one fails, as on a kernel that lacks it, and kills nobody.
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ]
  ++ (if systemCalls == [ ] then [ ] else [ (builtins.concatStringsSep " " systemCalls) ]);
  SystemCallErrorNumber = "EPERM";

  # Network.
  RestrictAddressFamilies = [
    "AF_UNIX"
  ]
  ++ (
    if network then
      [
        "AF_INET"
        "AF_INET6"
      ]
    else
      [ ]
  );
  PrivateNetwork = !network;
}
// (
  if builtins.elem "any" addresses then
    { }
  else
    {
      IPAddressDeny = "any";
    }
    // (if network then { IPAddressAllow = addresses; } else { })
)
