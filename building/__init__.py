"""The steps of build.py: environments, front-end parts, the executable, the checks. Standard library only."""
