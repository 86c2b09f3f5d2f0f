# Routes from outside, their certificates, and the proxy.
let
  butHostDown = import ./but-host-down.nix;
  days = ''(probe_ssl_earliest_cert_expiry{job="blackbox"} - time()) / 86400'';
  certificate = "The certificate of {{ $labels.domain }} ends in {{ printf \"%.1f\" $value }} days.";
in
{
  RouteDown = {
    severity = "page";
    forSeconds = 45;
    labels.rollout = "explains";
    summary = "{{ $labels.url }} does not answer as it should.";
    # A request that the exporter does not end in time fails its scrape; without the exporter nobody knows.
    expr =
      _:
      butHostDown ''
        (probe_success{job="blackbox"} == 0
        or up{job="blackbox",url!=""} == 0 and on () up{job="blackbox",url=""} == 1)'';
  };
  CertificateExpires = {
    severity = "ticket";
    forSeconds = 60;
    thresholds.days = 21;
    summary = certificate;
    expr = t: "${days} < ${t.days}";
  };
  CertificateAlmostExpired = {
    severity = "page";
    forSeconds = 60;
    thresholds.days = 3;
    summary = certificate;
    expr = t: "${days} < ${t.days}";
  };
  ProxyDown = {
    severity = "page";
    forSeconds = 45;
    labels.rollout = "explains";
    summary = "nginx of {{ $labels.host }} does not answer.";
    expr = _: ''nginx_up{job="nginx"} == 0'';
  };
}
