"""Storyboards of OpenSCENARIO files while they run: who does what from when on."""
