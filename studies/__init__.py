"""What a person runs: tuning, predicting, estimators, reports. Joins the core and the store."""
