# The stack: both programs, their database and the proxy. hosts/web-1.nix runs it under NixOS, and flake.nix makes files for
# Compose and Kubernetes of it. Every option: docs/options.md of Slipway.
{ packages }:
{
  services.api = {
    preset = "api";
    package = packages.api;
  };
  services.worker = {
    preset = "worker";
    package = packages.worker;
  };
  # So that the plan of a rollout names those that are new.
  database.migrations = ./crates/jobs/migrations;
  # Neither program uses one.
  cache.enable = false;
  proxy.domain = "jobs.example.com";
}
