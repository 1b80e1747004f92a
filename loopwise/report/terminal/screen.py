"""The terminal as Rich sees it."""

from rich.console import Console

from loopwise.report.terminal.console import refuse_to_go_on


class Screen(Console):
    """Ends the command when its reader goes away (`| head`); Rich's own ends it with the status of a failed gate."""

    def on_broken_pipe(self) -> None:
        """Raise Unread; nothing is printed from now on."""
        self.quiet = True
        refuse_to_go_on()
