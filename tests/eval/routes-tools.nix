# What the suites on routes share: a stack without a preset, on hosts whose certificates come from an authority.
{ standIn, lib }:
rec {
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  # However often it is asked for, there is one.
  web = {
    key = "web";
    services.slipway.stacks.shop = {
      database.enable = false;
      cache.enable = false;
      services.web = {
        package = standIn "shop";
        listen.port = 3000;
      };
    };
  };
  shop = options: {
    imports = [ web ];
    services.slipway.stacks.shop = options;
  };
  # With a domain whose / leads to the service.
  served =
    more:
    [
      acme
      (shop { domains."shop.example.com".routes."/".service = "web"; })
    ]
    ++ more;
}
