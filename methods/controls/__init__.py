"""Controls: methods that calibrate the scale and do not compete."""
