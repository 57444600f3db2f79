"""Making, calibrating and judging the learned perception: scenes, training, calibration, evaluation, pictures."""
