"""HTTP as values: requests to backends and their answers, URLs, character sets, codings, freshness."""
