# Where an exporter of nixpkgs listens, as the address of its target.
{ lib }:
{ listenAddress, port, ... }:
let
  host = if lib.hasInfix ":" listenAddress then "[${listenAddress}]" else listenAddress;
in
"${host}:${toString port}"
