# The images: what is started, how it is asked whether it works, where it listens.
{ contract }:
{
  image = {
    bin = "api";
    args = [ "serve" ];
    healthcheck = [ "healthcheck" ];
    ports = [
      contract.ports.api
      contract.ports.apiMetrics
    ];
    env = {
      APP_ENV = "production";
      API_HOST = "0.0.0.0";
      METRICS_PORT = toString contract.ports.apiMetrics;
    };
  };
  image-worker = {
    bin = "worker";
    args = [ "run" ];
    healthcheck = [ "healthcheck" ];
    ports = [ contract.ports.workerMetrics ];
    env = {
      APP_ENV = "production";
      METRICS_HOST = "0.0.0.0";
      METRICS_PORT = toString contract.ports.workerMetrics;
    };
  };
}
