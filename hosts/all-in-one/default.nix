# One host with everything: the control plane, its database and cache, the proxy, and an agent that deploys the host itself.
{
  networking.hostName = "all-in-one";
  services.slipway.stacks.slipway = { };
}
