"""What an Airflow connection of type smtp_cm becomes: a hook."""
