"""The methods: networks, their training and their scoring. No Kedro in here."""
