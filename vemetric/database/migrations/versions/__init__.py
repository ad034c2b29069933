"""One file per revision, named NNNN_what.py. Add new ones at the end; never change one that was released."""
