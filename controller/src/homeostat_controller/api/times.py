"""The wire's times as aware datetimes."""

from datetime import UTC, datetime

from google.protobuf.message import Message


def of_timestamp(message: Message, name: str) -> datetime | None:
    """Return a message's time of this name in UTC; None where it is absent or no date."""
    if not message.HasField(name):
        return None
    try:
        moment: datetime = getattr(message, name).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment
