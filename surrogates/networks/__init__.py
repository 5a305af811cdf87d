"""Networks of the surrogates, one architecture per file; `surrogates.architectures` names them."""
