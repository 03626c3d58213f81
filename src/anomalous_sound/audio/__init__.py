"""From files to log-mel frames and windows: decode, check, transform, index. No Kedro in here."""
