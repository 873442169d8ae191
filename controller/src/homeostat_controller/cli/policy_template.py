"""The policy that `homeostat policy new` writes: valid as it stands, and careful."""

TEMPLATE = """\
# What agents may do alone. Without `select`, it is for every endpoint.
# Check it with `homeostat policy check FILE`, then publish it.
name: NAME
description: Says what is wrong and proposes repairs; a person decides.

playbooks:
  restart:
    action: restart_service
    settle: 2s                 # wait before the first look
    verify_within: 30s         # then it must be well, or the repair is undone

rules:                         # the first that covers an incident counts
  - name: restart-what-died
    when: {fault: [service-down, service-hung], subject: "service:*"}
    do: [restart]
    level: ask                 # observe, shadow, ask or act
    least_confidence: 0.9
    highest_risk: medium
    budget: {count: 3, per: 1h}

limits:                        # the endpoint as a whole, over all rules
  actions: {count: 6, per: 1h}
  failures: {count: 2, per: 24h}
  repeats: {count: 3, per: 30m}
"""
