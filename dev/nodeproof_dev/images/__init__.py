"""Build the images of agent and operator where no registry is in reach, and say what is in them."""
