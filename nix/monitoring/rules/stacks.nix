# The processes of stacks, and whether they can be asked.
let
  butHostDown = import ./but-host-down.nix;
  # A program chooses further labels itself, and could make thousands of alerts of them: one for each process is enough.
  ofProcess = function: "${function} by (host, job, instance, stack, service, unit)";
in
{
  ServiceDown = {
    severity = "page";
    forSeconds = 45;
    labels.rollout = "explains";
    summary = "No process of {{ $labels.stack }}-{{ $labels.service }} on {{ $labels.host }} answers.";
    expr = _: butHostDown ''max by (host, stack, service) (up{job="stack"}) == 0'';
  };
  ProcessDown = {
    severity = "ticket";
    forSeconds = 300;
    labels.rollout = "explains";
    summary = "{{ $labels.unit }} of {{ $labels.host }} does not answer; other processes of the service do.";
    expr = _: ''
      up{job="stack"} == 0 and on (host, stack, service) max by (host, stack, service) (up{job="stack"}) == 1
    '';
  };
  TargetDown = {
    severity = "ticket";
    forSeconds = 300;
    summary = "{{ $labels.instance }} cannot be asked for metrics, or its answer cannot be read.";
    # Hosts, processes of stacks and routes have alerts of their own.
    expr = _: ''up{job!~"node|stack",url=""} == 0'';
  };
  PoolExhausted = {
    severity = "page";
    forSeconds = 30;
    labels.rollout = "explains";
    summary = "{{ $labels.unit }} of {{ $labels.host }} waits for a free database connection.";
    expr = _: ''
      ${ofProcess "max"} (increase(database_pool_timeouts_total{job="stack"}[5m])) > 0
      or ${ofProcess "max"} (min_over_time(database_pool_waiting{job="stack"}[1m])) > 0
    '';
  };
  CacheUnreachable = {
    severity = "ticket";
    forSeconds = 300;
    labels.rollout = "explains";
    summary = "{{ $labels.unit }} of {{ $labels.host }} has no connection to its Redis, which answers others.";
    # A Redis that is down has an alert of its own.
    expr = _: ''
      ${ofProcess "min"} (redis_client_connected{job="stack"}) == 0 unless on (stack) redis_up{job="redis"} == 0
    '';
  };
}
