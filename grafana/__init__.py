"""The Grafana dashboards: code that writes the JSON files beside it. `python -m grafana.build` renews them."""
