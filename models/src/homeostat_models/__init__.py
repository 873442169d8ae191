"""Builds, evaluates and packages the on-device model."""
