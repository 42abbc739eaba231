"""The local stack: emulated AWS, the app over HTTP, its queue workers and its schedules."""
