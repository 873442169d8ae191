"""A whole fleet on one machine, to look at: a controller, three real agents, real services and real faults.

It touches nothing but its own folder and the processes it started itself.
"""
