"""What goes wrong outside, against real server processes: what others see of it meanwhile."""
