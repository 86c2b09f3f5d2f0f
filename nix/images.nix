# The images of the control plane. Secrets come at run time as files: SECRET_KEY_FILE and the like.
{ contract }:
let
  inherit (contract) ports;
in
{
  image = {
    bin = "slipway-api";
    args = [ "serve" ];
    healthcheck = [ "healthcheck" ];
    maxMiB = 20;
    ports = [
      ports.api
      ports.apiMetrics
    ];
    env = {
      APP_ENV = "production";
      API_HOST = "0.0.0.0";
      API_PORT = toString ports.api;
      METRICS_PORT = toString ports.apiMetrics;
    };
  };
  image-worker = {
    bin = "slipway-worker";
    args = [ "run" ];
    healthcheck = [ "healthcheck" ];
    maxMiB = 20;
    ports = [ ports.workerMetrics ];
    env = {
      APP_ENV = "production";
      METRICS_HOST = "0.0.0.0";
      METRICS_PORT = toString ports.workerMetrics;
    };
  };
}
