"""`python -m fcn_follow` is `fcn-follow`."""

from fcn_follow.cli import main

if __name__ == "__main__":
    main()
