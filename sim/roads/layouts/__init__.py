"""Parametric road layouts; each module drafts one family, `sim.roads.builders` lists them."""
