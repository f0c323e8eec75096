"""The one exception whose message is written for the person at the terminal."""


class UserError(Exception):
    """A mistake that the user can mend: the message says what was wrong, where, and what to do.

    Commands print it as one line and exit with 1; nodes log it and refuse to start.
    """
