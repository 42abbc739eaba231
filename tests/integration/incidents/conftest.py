"""The incidents happen to the lives of the time stories."""

from tests.integration.time_stories.conftest import begin

__all__ = ["begin"]
