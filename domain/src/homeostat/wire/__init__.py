"""Domain values ⇄ protobuf messages: the only place that knows both.

`x_to_wire` gives the message for a value, and raises ValueError for one that no message can carry. `x_from_wire` gives
the value for a message, and raises WireError, never anything else, for a message that is no valid value. Whether a
policy makes sense is not asked here: that is `policy_check`.
"""
