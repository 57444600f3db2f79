"""Sensors: from the world's truth to the SensorFrame a driver is given, at each sensing level."""
