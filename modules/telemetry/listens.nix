# Where an exporter of nixpkgs listens, as the address of its target.
{ listenAddress, port, ... }: (import ../../nix/lib/address.nix).hostPort listenAddress port
