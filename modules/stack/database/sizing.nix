# Settings of a Postgres that may use so much memory.
#
#   shared_buffers        1/4   the manual's starting point for a server with 1 GB or more (19.4.1)
#   effective_cache_size  3/4   what the server and the kernel's cache have together; only the planner believes it (19.7.2)
#   maintenance_work_mem  1/16  VACUUM, CREATE INDEX, restores; more than 2 GB has rarely helped before 17 (PGTune)
#   work_mem              the rest over three sorts in every connection at once, never below Postgres' own 4 MB (PGTune)
{ lib }:
{ memoryMiB, maxConnections }:
let
  buffers = memoryMiB / 4;
  maintenance = lib.max 16 (lib.min 2048 (memoryMiB / 16));
  work = lib.max 4096 ((memoryMiB - buffers) * 1024 / (3 * maxConnections));
in
{
  shared_buffers = "${toString buffers}MB";
  effective_cache_size = "${toString (memoryMiB * 3 / 4)}MB";
  maintenance_work_mem = "${toString maintenance}MB";
  work_mem = "${toString work}kB";
}
