# An expression without the hosts that are down. HostDown inhibits these alerts as well, but may fire after them, since
# node_exporter is asked less often.
expr: ''
  ${expr}
  unless on (host) up{job="node"} == 0
''
