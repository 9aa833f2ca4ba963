"""Lists that are too long to be read whole: walks of indexes, page by page."""
