"""`vemetric doctor`: looks for the usual mistakes of running this, and says how each is mended."""
