"""Opponents: drivers of strong character that share nothing with the traffic's negotiator but the map."""
