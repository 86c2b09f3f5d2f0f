# What a container is sure to get: little, so that a stack fits into a small cluster, and never more than half of its limits.
{ lib }:
let
  contract = import ../contract.nix;
in
limits: {
  cpus = lib.min contract.requests.cpus (limits.cpus / 2.0);
  memoryMiB = lib.min contract.requests.memoryMiB ((limits.memoryMiB + 1) / 2);
}
