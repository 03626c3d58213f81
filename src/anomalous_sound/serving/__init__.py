"""A detector behind an address: what clients send is judged by ``Detector``, and by it alone."""
