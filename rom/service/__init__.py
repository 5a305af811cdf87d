"""The query service: reduced models over HTTP, with three protocols in one process."""
