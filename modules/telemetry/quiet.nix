# What the unit of an exporter has besides nixpkgs' own: little memory, the loopback interface only, and no end to its
# attempts to start.
{ lib }:
{ memoryMiB }:
{
  # One thread that runs Go's code is enough for a scrape, and needs less memory.
  environment.GOMAXPROCS = lib.mkDefault "1";
  # A scrape's garbage is gone before the next one: a third less memory of its own for no CPU that can be measured.
  environment.GOGC = lib.mkDefault "25";
  unitConfig.StartLimitIntervalSec = 0;
  serviceConfig = {
    RestartSec = lib.mkDefault 5;
    MemoryMax = lib.mkDefault "${toString memoryMiB}M";
    TasksMax = lib.mkDefault 32;
    IPAddressDeny = lib.mkDefault "any";
    IPAddressAllow = lib.mkDefault "localhost";
    # Measuring waits for what is measured.
    CPUWeight = lib.mkDefault 20;
    LimitCORE = lib.mkDefault 0;
  };
}
