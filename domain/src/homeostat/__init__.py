"""What Homeostat's words mean.

Nothing here does I/O, reads a clock or draws a random number: the agent deciding for real, the agent in shadow and the
controller in simulation all run this code, and the same input gives the same answer in each of them.
"""
