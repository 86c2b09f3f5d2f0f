# Addresses of hosts as other files write them. Only builtins.
rec {
  isV6 = address: builtins.match ".*:.*" address != null;
  # As a URL or a listener takes it.
  bracketed = address: if isV6 address then "[${address}]" else address;
  hostPort = address: port: "${bracketed address}:${toString port}";
  # A network of this one address, as pg_hba.conf and allow lists take it.
  single = address: "${address}/${if isV6 address then "128" else "32"}";
}
