let
  probe = ''domain="shop.example.com",host="web-1",instance="web-1/shop.example.com",job="blackbox",stack="shop",url="https://shop.example.com/"'';
  labels = {
    domain = "shop.example.com";
    host = "web-1";
    instance = "web-1/shop.example.com";
    job = "blackbox";
    stack = "shop";
    url = "https://shop.example.com/";
  };
  exporter = ''up{host="mon",instance="mon/blackbox",job="blackbox"}'';
  proxy = ''host="web-1",instance="web-1/nginx",job="nginx"'';
  expiry = "probe_ssl_earliest_cert_expiry{${probe}}";
in
{
  RouteDown = {
    fault.series = {
      ${exporter} = "1x20";
      "up{${probe}}" = "1x20";
      "probe_success{${probe}}" = "1 0x20";
      # The exporter waits for this one beyond the scrape's bound.
      ${''up{host="web-1",job="blackbox",url="https://slow.example.com/"}''} = "0x20";
    };
    fault.minutes = 4;
    fault.alerts = [
      {
        inherit labels;
        summary = "https://shop.example.com/ does not answer as it should.";
      }
      {
        labels = {
          host = "web-1";
          job = "blackbox";
          url = "https://slow.example.com/";
        };
        summary = "https://slow.example.com/ does not answer as it should.";
      }
    ];
    # A short trouble, and a host that is off.
    healthy.series = {
      ${''up{host="off",job="node"}''} = "0x20";
      ${''probe_success{host="off",job="blackbox",url="https://off.example.com/"}''} = "0x20";
      ${exporter} = "1x20";
      "up{${probe}}" = "1x20";
      "probe_success{${probe}}" = "1 1 0 1x20";
    };
    healthy.also.HostDown = 1;
  };
  # 20 days, while the tests begin at 0.
  CertificateExpires = {
    fault.series.${expiry} = "1728000x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "The certificate of shop.example.com ends in 20.0 days.";
      }
    ];
    healthy.series.${expiry} = "2592000x120";
  };
  CertificateAlmostExpired = {
    fault.series.${expiry} = "86400x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "The certificate of shop.example.com ends in 1.0 days.";
      }
    ];
    fault.also.CertificateExpires = 1;
    healthy.series.${expiry} = "2592000x120";
  };
  ProxyDown = {
    fault.series."nginx_up{${proxy}}" = "1 0x20";
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = {
          host = "web-1";
          instance = "web-1/nginx";
          job = "nginx";
        };
        summary = "nginx of web-1 does not answer.";
      }
    ];
    healthy.series."nginx_up{${proxy}}" = "1 1 0 1x20";
  };
}
